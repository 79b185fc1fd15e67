//! The states of a loop: what accepting waits for, how far it is with stopping, and what the wheel holds.

use std::time::Instant;

use crate::protocol::ConnectionId;

/// What accepting waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Accepting {
    /// For the listener's next edge.
    Waiting,
    /// For the next turn: this turn's share is used up.
    CutOff,
    /// For its one timer: the process was out of descriptors. Edges do nothing meanwhile; when the timer fires, accepting
    /// goes on until nobody waits, so no edge is missed.
    Pausing,
}

/// How far a loop is on its way to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Life {
    /// It serves all who come.
    Serving,
    /// It accepts those that the kernel has taken, and so many at the most: others may come all the time. Each is
    /// read once.
    LastArrivals { left: usize },
    /// It does not listen any more. It ends with its last connection.
    Closing,
}

/// What the wheel holds.
pub(super) enum Timer<C> {
    /// A connection's deadline; `at` tells the entry that counts from those it replaced.
    Deadline { id: ConnectionId, at: Instant },
    /// A completion that must not be delivered sooner. Boxed, since it is rare and may be large, while
    /// each idle connection has a deadline here.
    Completion { to: ConnectionId, completion: Box<C> },
    /// The pause of accepting is over.
    AcceptRetry,
    /// The protocol's own time for what its connections share; `at` as for a deadline.
    Wake { at: Instant },
    /// It is time to free spare buffers, and to note which connections have not moved.
    Tidy,
    /// The grace period of a shutdown has ended.
    GraceOver,
}
