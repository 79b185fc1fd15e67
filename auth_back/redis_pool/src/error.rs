//! Why Redis does not do what it is asked.

use redis::RedisError;
use thiserror::Error;

use super::refusal::Refusal;

/// Why Redis did not do it. Nobody's fault among users; the caller does without.
#[derive(Debug, Error)]
pub enum Away {
    /// It failed a moment ago and is left alone for a while. Nothing was sent.
    #[error("Redis failed a moment ago")]
    Resting,
    /// Every connection was lent, or the caller's deadline has passed. Nothing was sent.
    #[error("no connection to Redis was free in time")]
    Busy,
    /// There is no connection, or none that may be used. Nothing was sent.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// It was sent, and whether it was done is unknown.
    #[error("Redis: {0}")]
    Failed(RedisError),
}

/// Why there is no connection that may be used.
#[derive(Debug, Error)]
pub enum ConnectError {
    /// It is away, or takes no writes now.
    #[error("Redis: {0}")]
    Redis(#[from] RedisError),
    /// Only its operator can change that.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// It says nothing of itself that is understood.
    #[error("Redis does not say what it is: no {0} in INFO")]
    Unknown(&'static str),
    /// It follows another, and may lag behind what was written.
    #[error("Redis is a replica; the address must be that of the master")]
    Replica,
    /// It forgets when its memory is full, revocations first.
    #[error(
        "Redis evicts keys (maxmemory-policy {0}), so it could forget that a session was ended: set \
         maxmemory-policy noeviction, or no maxmemory"
    )]
    Evicts(String),
}

impl ConnectError {
    /// What Redis, or the way to it, said.
    pub(super) fn of(error: RedisError) -> Self {
        Refusal::of(&error).map_or(Self::Redis(error), Self::Refused)
    }

    /// The same of an answer to AUTH or SELECT.
    pub(super) fn of_greeting(error: RedisError) -> Self {
        Refusal::of_greeting(&error).map_or(Self::Redis(error), Self::Refused)
    }
}
