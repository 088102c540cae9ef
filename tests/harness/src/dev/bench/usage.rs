//! CPU time of all programs involved. On a shared machine its ratio is more reliable than that of elapsed time.

use std::{collections::BTreeMap, time::Duration};

use anyhow::Result;

use super::counts::precise;
use super::process;
use super::test_env::TestEnv;

/// The programs of a test environment.
const PROGRAMS: [&str; 5] = [
    "operator",
    "kube-apiserver",
    "etcd",
    "kube-controller-manager",
    "emulator",
];
/// This process: the load, the watches and the floor's workers.
const THIS: &str = "this program";

/// CPU time by program.
#[derive(Debug, Clone, Default)]
pub struct Usage(BTreeMap<&'static str, Duration>);

impl Usage {
    /// The CPU time of each program since it started.
    pub fn read(env: &TestEnv) -> Result<Self> {
        let mut used = BTreeMap::from([(THIS, process::cpu(std::process::id())?)]);
        for program in PROGRAMS {
            if let Some(pid) = env.plane.pid(program) {
                used.insert(program, process::cpu(pid)?);
            }
        }
        Ok(Self(used))
    }

    /// The CPU time since `before`.
    pub fn since(&self, before: &Self) -> Self {
        let used = |(program, now): (&&'static str, &Duration)| {
            let before = before.0.get(program).copied().unwrap_or_default();
            (*program, now.saturating_sub(before))
        };
        Self(self.0.iter().map(used).collect())
    }

    /// The sum with another.
    pub fn and(mut self, other: &Self) -> Self {
        for (program, used) in &other.0 {
            *self.0.entry(program).or_default() += *used;
        }
        self
    }

    /// Milliseconds per client of one program.
    pub fn of(&self, program: &str, clients: usize) -> f64 {
        let used = self.0.get(program).copied().unwrap_or_default();
        used.as_secs_f64() * 1000.0 / precise(clients as u64)
    }

    /// Milliseconds per client of all programs.
    pub fn all(&self, clients: usize) -> f64 {
        self.0.keys().map(|program| self.of(program, clients)).sum()
    }

    /// Each program's milliseconds per client.
    pub fn describe(&self, clients: usize) -> String {
        let each = |program: &&'static str| format!("{program} {:.2}", self.of(program, clients));
        self.0.keys().map(each).collect::<Vec<_>>().join(", ")
    }
}
