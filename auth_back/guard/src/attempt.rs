//! An attempt, and what may refuse it.

use std::net::IpAddr;
use std::time::Duration;

use credentials::{DeviceMarker, Username};

/// One attempt to log in.
#[derive(Clone, Copy, Debug)]
pub struct Attempt<'a> {
    /// The account, whether it exists or not: a limit that knew would tell.
    pub username: &'a Username,
    /// The user's address.
    pub address: IpAddr,
    /// Whether a proxy brought the request: what is exempt is not then.
    pub is_forwarded: bool,
    /// What shows that they have been in this account before, if they show it.
    pub known: Option<Known<'a>>,
}

/// What somebody has who has logged in to an account before. Was checked for that account.
#[derive(Clone, Copy, Debug)]
pub enum Known<'a> {
    /// A marker.
    Device(&'a DeviceMarker),
    /// A live session, by its id: its user is asked for the password once more.
    Session(u64),
}

/// What refused an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bucket {
    /// One account, from one network.
    AccountNetwork,
    /// One account, with one device or session.
    AccountDevice,
    /// One account, from everywhere.
    Account,
    /// One network.
    Network,
    /// Registrations of one network.
    Registrations,
}

/// No attempt now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many attempts; the next one may come in {} seconds", retry_after.as_secs_f32().ceil())]
pub struct TooManyAttempts {
    /// When one may be let through again.
    pub retry_after: Duration,
    /// For counters and logs; whoever asked is not told.
    pub bucket: Bucket,
}

impl Bucket {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::AccountNetwork,
        Self::AccountDevice,
        Self::Account,
        Self::Network,
        Self::Registrations,
    ];

    /// A word for counters and logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AccountNetwork => "account_network",
            Self::AccountDevice => "account_device",
            Self::Account => "account",
            Self::Network => "network",
            Self::Registrations => "registrations",
        }
    }
}
