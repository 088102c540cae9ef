//! Which calls a fault meets.

use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

use super::faults::{Fault, Operation};

/// A fault, and the calls that it meets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Calls of this operation.
    pub operation: Operation,
    /// Only those about this client: its clientId, or for a create the name asked for.
    #[serde(default)]
    pub client: Option<String>,
    /// What happens.
    pub fault: Fault,
    /// To every n-th of them only: 10 is a tenth of all calls, the same ones each time. `None`: to each.
    #[serde(default)]
    pub every: Option<NonZeroU32>,
    /// To so many calls; `None`: until cleared.
    #[serde(default)]
    pub count: Option<u32>,
}

/// A rule in force.
pub(super) struct Standing {
    pub(super) rule: Rule,
    /// Calls that fitted it.
    fitted: u32,
}

impl Standing {
    pub(super) fn new(rule: Rule) -> Self {
        Self { rule, fitted: 0 }
    }

    /// Whether the fault happens to this call, which is counted.
    pub(super) fn meets(&mut self, operation: Operation, client: Option<&str>) -> bool {
        let rule = &self.rule;
        let fits = rule.operation == operation
            && (rule.client.is_none() || rule.client.as_deref() == client);
        if fits {
            self.fitted = self.fitted.wrapping_add(1);
        }
        fits && rule.every.is_none_or(|every| self.fitted % every == 0)
    }
}
