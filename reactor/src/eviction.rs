//! Which connection is closed for a new one when all slots are taken.
//!
//! Only a connection over which nothing is on its way is evicted. Connections that have never sent anything come first, in the
//! order of their arrival, because a client that connects normally has something to ask. Then comes the connection that has
//! been idle longest. A connection with a request in flight, or with input or output in part, is never evicted.
//!
//! Nothing is kept sorted while requests come and go, since that would cost every request something. Silent connections
//! are listed in the order of their arrival. Idle ones are found by a scan when one is needed. One scan serves as many new
//! connections as it found idle ones, and the order stays right: whatever becomes idle after the scan has been idle for a shorter time
//! than everything that the scan found. Where hardly any connection is idle, [`IDLE_SCAN_PAUSE`] bounds the cost of scans.

use std::collections::VecDeque;
use std::time::Instant;

use crate::connection::Connection;
use crate::limits::{IDLE_SCAN_PAUSE, IDLE_SCAN_SHARE, LISTED_PER_CONNECTION_MAX, LISTED_SPARE};
use crate::protocol::{ConnectionId, Protocol};
use crate::slots::Slots;

/// The connections of one loop that can be evicted.
pub(crate) struct Eviction {
    /// Connections that had sent nothing when they were listed, in the order of their arrival.
    silent: VecDeque<ConnectionId>,
    /// Connections that were idle at the last scan, and since when; the longest idle one is last.
    idle: Vec<(Instant, ConnectionId)>,
    /// No scan before this time: the last one found few.
    scan_at: Option<Instant>,
}

impl Eviction {
    /// For a loop that can have `connections_max` connections. Address space for all of them is taken now, for the reason
    /// given at [`Slots::new`].
    pub(crate) fn new(connections_max: usize) -> Self {
        let listed_max = LISTED_SPARE + LISTED_PER_CONNECTION_MAX * connections_max;
        Self { silent: VecDeque::with_capacity(listed_max + 1), idle: Vec::new(), scan_at: None }
    }

    /// A connection was accepted.
    pub(crate) fn accepted<P: Protocol>(
        &mut self,
        id: ConnectionId,
        connections: &mut Slots<Connection<P>>,
    ) {
        self.silent.push_back(id);
        if self.silent.len() > LISTED_SPARE + LISTED_PER_CONNECTION_MAX * connections.len() {
            self.silent.retain(|id| connections.get_mut(*id).is_some_and(|it| it.is_silent()));
        }
    }

    /// The connection to close, if one can be spared.
    pub(crate) fn next<P: Protocol>(
        &mut self,
        connections: &mut Slots<Connection<P>>,
        shared: &P::Shared,
        now: Instant,
    ) -> Option<ConnectionId> {
        while let Some(id) = self.silent.pop_front() {
            if let Some(connection) = connections.get_mut(id)
                && connection.is_silent()
                && !connection.has_unread_input()
            {
                return Some(id);
            }
        }
        if let Some(id) = self.next_idle(connections, shared) {
            return Some(id);
        }
        if self.scan_at.is_some_and(|at| now < at) {
            return None;
        }
        let idle = connections.iter_mut();
        let idle = idle.filter_map(|(id, connection)| Some((connection.idle_since(shared)?, id)));
        self.idle = idle.collect();
        let few = self.idle.len() < connections.len().div_ceil(IDLE_SCAN_SHARE);
        self.scan_at = few.then_some(now + IDLE_SCAN_PAUSE);
        self.idle.sort_unstable_by_key(|(since, _)| std::cmp::Reverse(*since));
        self.next_idle(connections, shared)
    }

    fn next_idle<P: Protocol>(
        &mut self,
        connections: &mut Slots<Connection<P>>,
        shared: &P::Shared,
    ) -> Option<ConnectionId> {
        while let Some((since, id)) = self.idle.pop() {
            if let Some(connection) = connections.get_mut(id)
                && connection.idle_since(shared) == Some(since)
                && !connection.has_unread_input()
            {
                return Some(id);
            }
        }
        self.idle = Vec::new();
        None
    }
}
