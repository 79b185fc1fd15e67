//! What tests of others need.

use std::time::Duration;

use crate::GuardRules;
use crate::limits::MEMORY_MIN;

/// Limits as a deployment has them, but for the memory.
#[must_use]
pub fn guard_rules() -> GuardRules {
    GuardRules {
        free: 20,
        delay_max: Duration::from_secs(900),
        account_failures: 100,
        network_per_minute: 10,
        exempt: Box::default(),
        memory: MEMORY_MIN,
    }
}
