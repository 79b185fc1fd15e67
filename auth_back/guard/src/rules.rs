//! How many guesses there may be.

use std::time::Duration;

use addresses::Network;

/// What an operator decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuardRules {
    /// Wrong guesses at an account from one network, or with one device, before waits begin.
    pub free: u16,
    /// The longest of these waits.
    pub delay_max: Duration,
    /// Failures of an account in a row before strangers share its slow lane.
    pub account_failures: u16,
    /// Failures of one network a minute, and as many registrations; ten times as many at once.
    pub network_per_minute: u16,
    /// Addresses that are not judged by their network, unless a proxy brings their requests.
    pub exempt: Box<[Network]>,
    /// Bytes of all tables together.
    pub memory: u64,
}

/// How many guesses there may be: the part of the rules that all servers have alike, and that may change while they run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GuardNumbers {
    /// See [`GuardRules::free`].
    pub free: u16,
    /// See [`GuardRules::delay_max`].
    pub delay_max: Duration,
    /// See [`GuardRules::account_failures`].
    pub account_failures: u16,
    /// See [`GuardRules::network_per_minute`].
    pub network_per_minute: u16,
}

impl GuardRules {
    /// Their numbers.
    #[must_use]
    pub fn numbers(&self) -> GuardNumbers {
        let Self { free, delay_max, account_failures, network_per_minute, .. } = *self;
        GuardNumbers { free, delay_max, account_failures, network_per_minute }
    }
}
