//! What a lane is made of.

use std::num::NonZeroUsize;

use super::Admission;
use super::error::LaneError;
use crate::limits::{LANE_NAME_BYTES_MAX, LANE_THREADS_MAX};

/// The size of a lane.
#[derive(Clone, Copy, Debug)]
pub struct LaneSize {
    /// Its threads.
    pub threads: NonZeroUsize,
    /// Jobs that may wait.
    pub queue: NonZeroUsize,
}

/// The name, size and priority of a lane.
#[derive(Clone, Debug)]
pub struct LaneOptions {
    pub(super) name: &'static str,
    pub(super) threads: NonZeroUsize,
    pub(super) queue: NonZeroUsize,
    pub(super) niceness: Niceness,
    pub(super) admission: Admission,
}

impl LaneOptions {
    /// Describes a lane of `threads` threads, named `name-0` and so on, behind a queue of at most
    /// `queue` jobs. Its threads run at the priority of the process.
    ///
    /// # Errors
    ///
    /// [`LaneError::Name`] unless the name is 1 to [`LANE_NAME_BYTES_MAX`] bytes of `a-z 0-9 - _`;
    /// [`LaneError::Threads`] for more than [`LANE_THREADS_MAX`].
    pub fn new(
        name: &'static str,
        threads: NonZeroUsize,
        queue: NonZeroUsize,
    ) -> Result<Self, LaneError> {
        let plain = |byte: u8| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_')
        };
        if name.is_empty() || name.len() > LANE_NAME_BYTES_MAX || !name.bytes().all(plain) {
            return Err(LaneError::Name(name));
        }
        if threads.get() > LANE_THREADS_MAX {
            return Err(LaneError::Threads { lane: name, threads: threads.get() });
        }
        let (niceness, admission) = (Niceness::default(), Admission::open());
        Ok(Self { name, threads, queue, niceness, admission })
    }

    /// Lets the lane's threads give way to those of other priority.
    #[must_use]
    pub fn niceness(self, niceness: Niceness) -> Self {
        Self { niceness, ..self }
    }

    /// Refuses what cannot be served in time, and bounds what is in work. By default only places are bounded.
    #[must_use]
    pub fn admission(self, admission: Admission) -> Self {
        Self { admission, ..self }
    }
}

/// How far threads give way to others, 0 (not at all, the default) to 19; `nice(2)`.
///
/// On Linux a step changes a thread's share of a contended core by about a quarter (`sched(7)`); on
/// an idle machine it changes nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Niceness(u8);

impl Niceness {
    /// A value from 0 to 19, or `None`. Negative ones need a privilege and have no use here.
    #[must_use]
    pub const fn new(value: u8) -> Option<Self> {
        if value <= 19 { Some(Self(value)) } else { None }
    }

    /// The value, 0 to 19.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }
}
