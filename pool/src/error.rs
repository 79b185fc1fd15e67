//! What can go wrong, and whose fault it is.

use std::time::Duration;

use thiserror::Error;

use crate::limits::{LIFETIME_MAX, LIFETIME_MIN, LIVENESS_AFTER_MAX, SIZE_MAX};

/// Why [`Pool::acquire`](crate::Pool::acquire) lent nothing.
#[derive(Debug, Error)]
pub enum AcquireError<E: std::error::Error + 'static> {
    /// The deadline passed before an item could be had. Load is at fault: the items stayed with
    /// others, or the caller came with no time left.
    #[error("no item could be had before the deadline")]
    TimedOut,
    /// The pool was closed, by its owner.
    #[error("the pool is closed")]
    Closed,
    /// [`Manager::connect`](crate::Manager::connect) failed. The far side is at fault, or the
    /// configuration that names it.
    #[error("could not connect")]
    Connect(#[source] E),
}

/// Why a setting was refused. Whoever wrote the setting is at fault.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum ConfigError {
    /// The pool would hold nothing, or more than it may.
    #[error("pool size {size} is outside 1..={SIZE_MAX}")]
    Size {
        /// The refused value.
        size: usize,
    },
    /// The lifetime is too short to be meant, or too long to matter.
    #[error("lifetime {lifetime:?} is outside {LIFETIME_MIN:?}..={LIFETIME_MAX:?}")]
    Lifetime {
        /// The refused value.
        lifetime: Duration,
    },
    /// Jitter is taken off the lifetime, so what is left must still be a lifetime.
    #[error("jitter {jitter:?} leaves less than {LIFETIME_MIN:?} of the lifetime {lifetime:?}")]
    Jitter {
        /// The refused value.
        jitter: Duration,
        /// The lifetime that it would be taken off.
        lifetime: Duration,
    },
    /// The idle timeout is too short to be meant, or too long to matter.
    #[error("idle timeout {timeout:?} is outside {LIFETIME_MIN:?}..={LIFETIME_MAX:?}")]
    IdleTimeout {
        /// The refused value.
        timeout: Duration,
    },
    /// The window without a liveness check is too long to find a dead peer.
    #[error("liveness window {window:?} is over {LIVENESS_AFTER_MAX:?}")]
    LivenessAfter {
        /// The refused value.
        window: Duration,
    },
}
