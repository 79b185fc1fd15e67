//! What a lane carries, and what becomes of it where it is not served.

use std::fmt;
use std::time::Duration;

use super::flow::Ask;

/// What a lane carries.
pub trait Job: Send + 'static {
    /// It was accepted, and cannot be served after all. Called by a thread that submits to the lane or works for
    /// it, without a lock; must not block. By default the job is dropped.
    fn refuse(self, why: Refused)
    where
        Self: Sized,
    {
        let _ = why;
    }
}

/// That a job cannot be served, why, and when to ask again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Why.
    pub why: Why,
    /// How long such a job would have to wait at present. Nothing is known of the time after that, so a client is
    /// told a little more.
    pub retry_after: Duration,
}

/// Why a job cannot be served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// All places are taken, and its own party has most of them.
    Full,
    /// It had a place, and gave it up to a party that has fewer.
    Evicted,
    /// It would wait longer than any may, or than its own deadline leaves.
    TooLong,
    /// It has waited longer than any may: work has become slower since it came.
    Stale,
    /// No worker is left: the server is shutting down, or its workers could not work at all.
    Closed,
}

impl Why {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Full, Self::Evicted, Self::TooLong, Self::Stale, Self::Closed];

    /// A word for metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Evicted => "evicted",
            Self::TooLong => "too_long",
            Self::Stale => "stale",
            Self::Closed => "closed",
        }
    }
}

/// A job that a lane did not take.
#[derive(thiserror::Error)]
#[error("the lane does not take the job: {}", why.why.name())]
pub struct Rejected<J> {
    /// The job, given back.
    pub job: J,
    /// Why.
    pub why: Refused,
}

/// Without the job, which may hold a password.
impl<J> fmt::Debug for Rejected<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rejected").field("why", &self.why).finish_non_exhaustive()
    }
}

/// A job and what is asked for it.
pub(super) type Asked<J> = (J, Ask);
