//! Numbers that are unique across servers without asking anybody, and rise with time.
//!
//! ```text
//!  63  62                                  22 21       17 16     12 11           0
//! +---+--------------------------------------+-----------+---------+--------------+
//! | 0 | milliseconds since the epoch, 41 bit | datacenter| machine |   sequence   |
//! +---+--------------------------------------+-----------+---------+--------------+
//! ```
//!
//! This is the layout that Twitter published as Snowflake in 2010. Rising numbers keep a clustered
//! primary key growing at its end.
//!
//! # What the clock may do
//!
//! The caller passes the time in. The generator remembers the last millisecond and sequence number
//! that it gave out, and the next is always greater:
//!
//! - A clock that **steps back** changes nothing: the generator goes on counting from where it was
//!   until the clock has caught up.
//! - When the 4096 numbers of a millisecond are **used up**, it takes them from the next one rather
//!   than wait. It may run ahead of the latest time it has seen by [`AHEAD_MS_MAX`]; then it refuses.
//!   No real load gets there: it would take more than four million ids a second, or a clock that
//!   stepped back and stayed there for hundreds of millions of ids.
//!
//! What a process cannot know is what another one gave out under its [`NodeId`], before it or beside it. So times
//! are reserved elsewhere: a generator begins [behind](Snowflakes::behind) what was reserved
//! before it, and goes no further than what is [reserved](Snowflakes::reserve) for it. No number comes twice then,
//! whatever clocks do.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::SystemTime;

/// The epoch: 2025-01-01T00:00:00Z, in milliseconds of Unix time. 41 bits last from here until
/// September 2094. Changing it would let old numbers come again.
pub const EPOCH_UNIX_MS: u64 = 1_735_689_600_000;
/// How far numbers may run ahead of the latest time seen, in milliseconds: one minute.
pub const AHEAD_MS_MAX: u64 = 60_000;

const MS_BITS: u32 = 41;
const DATACENTER_BITS: u32 = 5;
const MACHINE_BITS: u32 = 5;
const SEQUENCE_BITS: u32 = 12;

const MACHINE_SHIFT: u32 = SEQUENCE_BITS;
const DATACENTER_SHIFT: u32 = MACHINE_SHIFT + MACHINE_BITS;
const MS_SHIFT: u32 = DATACENTER_SHIFT + DATACENTER_BITS;

const _: () = assert!(1 + MS_BITS + DATACENTER_BITS + MACHINE_BITS + SEQUENCE_BITS == u64::BITS);

const MS_MAX: u64 = (1 << MS_BITS) - 1;
const SEQUENCE_MASK: u64 = (1 << SEQUENCE_BITS) - 1;

/// Which process makes the ids: a datacenter and a machine in it, each from 0 to 31.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId {
    datacenter: u8,
    machine: u8,
}

/// A number too large for its part of a [`NodeId`]. The operator who set it is at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NodeIdError {
    /// The datacenter is above 31.
    #[error("datacenter {0} is out of range: from 0 to 31")]
    Datacenter(u8),
    /// The machine is above 31.
    #[error("machine {0} is out of range: from 0 to 31")]
    Machine(u8),
}

impl NodeId {
    /// A node of those numbers, each from 0 to 31.
    ///
    /// # Errors
    ///
    /// [`NodeIdError`] names the number that is out of range.
    pub const fn new(datacenter: u8, machine: u8) -> Result<Self, NodeIdError> {
        if datacenter >= 1 << DATACENTER_BITS {
            return Err(NodeIdError::Datacenter(datacenter));
        }
        if machine >= 1 << MACHINE_BITS {
            return Err(NodeIdError::Machine(machine));
        }
        Ok(Self { datacenter, machine })
    }

    /// The first of them.
    pub const FIRST: Self = Self { datacenter: 0, machine: 0 };

    /// How many there are.
    pub const COUNT: u16 = 1 << (DATACENTER_BITS + MACHINE_BITS);

    /// The node of that number, its datacenter times 32 and its machine; none from [`NodeId::COUNT`] on.
    #[must_use]
    pub fn of_number(number: u16) -> Option<Self> {
        let datacenter = u8::try_from(number >> MACHINE_BITS).ok()?;
        let machine = u8::try_from(number & ((1 << MACHINE_BITS) - 1)).ok()?;
        Self::new(datacenter, machine).ok()
    }

    /// See [`NodeId::of_number`].
    #[must_use]
    pub fn number(self) -> u16 {
        u16::from(self.datacenter) << MACHINE_BITS | u16::from(self.machine)
    }

    /// The node's bits in their place.
    const fn bits(self) -> u64 {
        (self.datacenter as u64) << DATACENTER_SHIFT | (self.machine as u64) << MACHINE_SHIFT
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.datacenter, self.machine)
    }
}

/// Why there is no number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SnowflakeError {
    /// The clock was not set when the first number was asked for.
    #[error("the system clock is before 2025: it is not set")]
    ClockNotSet,
    /// Numbers ran ahead of the clock by [`AHEAD_MS_MAX`].
    #[error(
        "ids ran {AHEAD_MS_MAX} ms ahead of the system clock: it has stood still or stepped back"
    )]
    TooFarAhead,
    /// The time has come to the end of what is reserved: the store is away, or this process was stopped for a while.
    #[error("no ids may be made until this server has renewed its node in the store")]
    NotReserved,
    /// The 41 bits are used up.
    #[error("the system clock is past 2094, where the ids of this format end")]
    EndOfTime,
}

/// Makes the numbers of one node. Shared by threads without a lock.
#[derive(Debug)]
pub struct Snowflakes {
    node: NodeId,
    /// The last one given out, as milliseconds and sequence number without the node between them:
    /// adding one carries from the sequence into the milliseconds by itself. Zero before the first.
    last: AtomicU64,
    /// The latest time seen, in milliseconds since the epoch.
    clock_ms: AtomicU64,
    /// The last millisecond since the epoch that numbers may have.
    reserved_ms: AtomicU64,
}

impl Snowflakes {
    /// A generator for a node that nobody else has, now or before.
    #[must_use]
    pub fn new(node: NodeId) -> Self {
        Self {
            node,
            last: AtomicU64::new(0),
            clock_ms: AtomicU64::new(0),
            reserved_ms: AtomicU64::new(MS_MAX),
        }
    }

    /// A generator whose numbers are all later than `unix_ms`, in milliseconds of Unix time. Gives out none before a time
    /// is [reserved](Self::reserve).
    #[must_use]
    pub fn behind(node: NodeId, unix_ms: u64) -> Self {
        let ms = unix_ms.saturating_sub(EPOCH_UNIX_MS).min(MS_MAX);
        let last = AtomicU64::new(ms << SEQUENCE_BITS | SEQUENCE_MASK);
        Self { last, reserved_ms: AtomicU64::new(0), ..Self::new(node) }
    }

    /// Lets numbers have times up to this, in milliseconds of Unix time. What was reserved stays so.
    pub fn reserve(&self, until_unix_ms: u64) {
        self.reserved_ms.fetch_max(until_unix_ms.saturating_sub(EPOCH_UNIX_MS), Relaxed);
    }

    /// The node of all numbers.
    #[must_use]
    pub fn node(&self) -> NodeId {
        self.node
    }

    /// The time of the last number, in milliseconds of Unix time, or what all are [behind](Self::behind).
    #[must_use]
    pub fn latest_unix_ms(&self) -> u64 {
        EPOCH_UNIX_MS + (self.last.load(Relaxed) >> SEQUENCE_BITS)
    }

    /// The next number, greater than every one that this generator gave out before. Never waits.
    ///
    /// ```
    /// use credentials::ids::{NodeId, Snowflakes, UserId};
    /// use std::time::SystemTime;
    ///
    /// let snowflakes = Snowflakes::new(NodeId::new(0, 1)?);
    /// let user = UserId::from(snowflakes.next(SystemTime::now())?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`SnowflakeError`], when the clock is unset, stands still for too long, or is past the end, or
    /// when no more is reserved.
    pub fn next(&self, now: SystemTime) -> Result<Snowflake, SnowflakeError> {
        let now_ms = since_epoch_ms(now);
        let latest_ms = self.clock_ms.fetch_max(now_ms, Relaxed).max(now_ms);
        if latest_ms == 0 {
            return Err(SnowflakeError::ClockNotSet);
        }
        let reserved_ms = self.reserved_ms.load(Relaxed);
        let after = |last| after(last, now_ms, latest_ms, reserved_ms);
        // Relaxed is enough: all that has to be agreed on is the order of changes to `last`, and
        // those of one atomic have one order for every thread. Either way comes the value that
        // `after` was last asked about; asked again, it says the same.
        let (Ok(last) | Err(last)) =
            self.last.fetch_update(Relaxed, Relaxed, |last| after(last).ok());
        let next = after(last)?;
        Ok(Snowflake::pack(next >> SEQUENCE_BITS, self.node, next & SEQUENCE_MASK))
    }
}

/// What follows `last`, both as [`Snowflakes::last`] holds them, when it is `now_ms` and the latest
/// time seen is `latest_ms`, and times up to `reserved_ms` are reserved.
fn after(last: u64, now_ms: u64, latest_ms: u64, reserved_ms: u64) -> Result<u64, SnowflakeError> {
    // Times beyond the end are cut to just beyond it, so that the shift loses nothing.
    let now = now_ms.min(MS_MAX + 1) << SEQUENCE_BITS;
    let next = now.max(last + 1);
    let ms = next >> SEQUENCE_BITS;
    if ms > MS_MAX {
        return Err(SnowflakeError::EndOfTime);
    }
    if ms > latest_ms.saturating_add(AHEAD_MS_MAX) {
        return Err(SnowflakeError::TooFarAhead);
    }
    if ms > reserved_ms {
        return Err(SnowflakeError::NotReserved);
    }
    Ok(next)
}

/// Milliseconds since the epoch; zero before it.
fn since_epoch_ms(now: SystemTime) -> u64 {
    unix_time::unix_ms(now).saturating_sub(EPOCH_UNIX_MS)
}

/// A number that was made by a node at a time: from 1 to 2^63 - 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Snowflake(u64);

impl Snowflake {
    const fn pack(ms: u64, node: NodeId, sequence: u64) -> Self {
        Self(ms << MS_SHIFT | node.bits() | sequence)
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// When it was made, as Unix time in milliseconds, by the clock that was passed in; later than
    /// that if the generator ran ahead.
    #[must_use]
    pub const fn unix_ms(self) -> u64 {
        EPOCH_UNIX_MS + (self.0 >> MS_SHIFT)
    }
}

impl fmt::Display for Snowflake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests;
