//! Which steps the plan has named in a run.

use std::sync::atomic::{AtomicU32, Ordering};

use provident_core::plan::Step;
use strum::VariantNames;

/// The steps that the plan has named. `None` does not record them; a checker runs on a copy with [`Coverage::recording`].
#[derive(Clone, Copy, Debug)]
pub struct Coverage(Option<&'static AtomicU32>);

impl Coverage {
    /// Records nothing.
    pub const NONE: Self = Self(None);

    /// Records from now on. What it records lives as long as the process, since runs are constants.
    pub fn recording() -> Self {
        Self(Some(Box::leak(Box::default())))
    }

    /// Notes that the plan names this step.
    pub fn reached(&self, step: &Step) {
        if let Some(reached) = self.0
            && let Some(index) = index(<&'static str>::from(step))
        {
            let bit = 1 << index;
            if reached.load(Ordering::Relaxed) & bit == 0 {
                reached.fetch_or(bit, Ordering::Relaxed);
            }
        }
    }

    /// The steps that were named, in the order of [`Step`].
    pub fn steps(&self) -> Vec<&'static str> {
        let reached = self.0.map_or(0, |reached| reached.load(Ordering::Relaxed));
        let names = Step::VARIANTS.iter().enumerate();
        names
            .filter(|(index, _)| reached & (1 << index) != 0)
            .map(|(_, name)| *name)
            .collect()
    }
}

fn index(step: &str) -> Option<usize> {
    Step::VARIANTS.iter().position(|name| *name == step)
}
