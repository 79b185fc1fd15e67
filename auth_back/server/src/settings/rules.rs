//! The rules that all servers have alike, as they are set.

use std::time::Duration;

use guard::GuardRules;
use service::gather;
use service::settings::SettingErrors;
use service::settings::values::Values;
use sessions::SessionRules;
use sessions::limits::{IDLE_LEASES_MIN, IDLE_MIN, LEASE_MAX, PER_USER_MAX};

use crate::limits::{SESSION_LIFETIME_MAX, SESSION_LIFETIME_MIN};

pub(super) fn session_rules(values: &Values<'_>) -> Result<SessionRules, SettingErrors> {
    let lease = values.duration("lease", Duration::ZERO..=LEASE_MAX);
    let idle_min = lease.as_ref().map_or(IDLE_MIN, |lease| IDLE_MIN.max(*lease * IDLE_LEASES_MIN));
    gather!(SessionRules {
        lifetime: values.duration("session-lifetime", SESSION_LIFETIME_MIN..=SESSION_LIFETIME_MAX),
        idle: values.duration("session-idle", idle_min..=SESSION_LIFETIME_MAX),
        per_user: values.integer("sessions-per-user", 1..=PER_USER_MAX),
        lease: lease,
    })
}

pub(super) fn guard_rules(values: &Values<'_>) -> Result<GuardRules, SettingErrors> {
    use guard::limits::{
        ACCOUNT_FAILURES_FLOOR, ACCOUNT_FAILURES_MAX, DELAY_MAX_CEILING, DELAY_MAX_FLOOR,
        EXEMPT_MAX, FREE_MAX, MEMORY_MAX, MEMORY_MIN, NETWORK_PER_MINUTE_MAX,
    };
    let want = format!(
        "up to {EXEMPT_MAX} different addresses or networks such as 10.0.0.0/8, separated by commas"
    );
    gather!(GuardRules {
        free: values.integer("throttle-free", 1..=FREE_MAX),
        delay_max: values.duration("throttle-delay-max", DELAY_MAX_FLOOR..=DELAY_MAX_CEILING),
        account_failures: values
            .integer("throttle-account", ACCOUNT_FAILURES_FLOOR..=ACCOUNT_FAILURES_MAX),
        network_per_minute: values.integer("throttle-network", 1..=NETWORK_PER_MINUTE_MAX),
        exempt: values
            .list("throttle-exempt", &want, 0..=EXEMPT_MAX, |text| text.parse().ok())
            .map(Vec::into_boxed_slice),
        memory: values.bytes("throttle-memory", MEMORY_MIN..=MEMORY_MAX),
    })
}
