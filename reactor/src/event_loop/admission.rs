//! How a loop takes new connections: up to a share of a turn; with a pause when the process is out of descriptors; by
//! evicting an idle connection when all slots are taken; and by rejecting the new one when none is idle.

use std::net::IpAddr;

use mio::Interest;
use mio::net::TcpStream;
use rustix::net::{SendFlags, send};
use sparing::sparing;

use super::state::{Accepting, Life, Timer};
use super::{EventLoop, token_of};
use crate::accept::Arrival;
use crate::census::Refusal;
use crate::connection::Connection;
use crate::counters::count;
use crate::limits::{ACCEPT_PAUSE, ACCEPTS_PER_TURN, IDLE_SCAN_PAUSE};
use crate::protocol::Protocol;
use crate::session::{Session, Surroundings};

impl<P: Protocol> EventLoop<P> {
    /// The listener's edge.
    pub(super) fn begin_to_accept(&mut self) {
        if self.accepting != Accepting::Pausing {
            self.accept();
        }
    }

    /// The pause is over.
    pub(super) fn accept_again(&mut self) {
        debug_assert_eq!(self.accepting, Accepting::Pausing);
        self.accept();
    }

    pub(super) fn accept(&mut self) {
        self.accept_some();
        self.close_gate_if_done();
    }

    fn accept_some(&mut self) {
        self.accepting = Accepting::CutOff;
        for _ in 0..ACCEPTS_PER_TURN {
            if self.has_accepted_enough() {
                return;
            }
            match self.gate.accept() {
                Arrival::Connection(stream, peer) => self.meet(stream, peer),
                Arrival::Gone => {}
                Arrival::Nobody => {
                    self.accepting = Accepting::Waiting;
                    return;
                }
                Arrival::Exhausted => return self.pause_accepting(),
            }
            self.count_last_arrival();
        }
    }

    fn pause_accepting(&mut self) {
        self.accepting = Accepting::Pausing;
        self.wheel.insert(self.now + ACCEPT_PAUSE, Timer::AcceptRetry);
        count(&self.common.counters.accept_pauses);
        sparing!(
            by self.common.exhausted,
            WARN,
            listener = &*self.common.name,
            "out of file descriptors or memory: accepting pauses"
        );
    }

    /// Opens a connection if the caps allow it, perhaps after evicting another.
    pub(super) fn meet(&mut self, stream: TcpStream, peer: IpAddr) {
        let counted = self.common.census.caps_sources() && P::is_capped(peer, &self.shared);
        let admit = |this: &Self| this.common.census.admit(peer, counted);
        let admitted = match admit(self) {
            Err(Refusal::Full) if self.evict() => admit(self),
            admitted => admitted,
        };
        match admitted {
            Ok(()) => self.open(stream, peer, counted),
            Err(refusal) => self.reject(&stream, refusal),
        }
    }

    /// Sends the protocol's rejection, best effort: one call, and nobody waits until it arrives.
    fn reject(&mut self, stream: &TcpStream, refusal: Refusal) {
        let rejection = P::rejection(&self.shared);
        if !rejection.is_empty() {
            // A fresh socket takes so little at once. If it does not, the peer sees only the close.
            let _ = send(stream, rejection, SendFlags::NOSIGNAL);
        }
        let (counter, why) = match refusal {
            Refusal::Full => {
                self.ask_others_to_evict();
                (
                    &self.common.counters.refused_full,
                    "all slots are taken, and no connection is idle",
                )
            }
            Refusal::Source => (
                &self.common.counters.refused_address,
                "its address or network has reached its cap",
            ),
        };
        count(counter);
        let listener = &*self.common.name;
        sparing!(by self.common.refused, WARN, listener, why, "connection rejected");
    }

    /// Closes the connection that can best be spared; false if there is none.
    pub(super) fn evict(&mut self) -> bool {
        let Self { eviction, connections, shared, now, .. } = self;
        let Some(id) = eviction.next(connections, shared, *now) else { return false };
        count(&self.common.counters.evicted);
        self.close(id);
        true
    }

    /// Another loop had to reject a connection, since none of its own is idle.
    pub(super) fn evict_for_another(&mut self) {
        if self.common.census.is_full() {
            self.evict();
        }
    }

    /// No connection of this loop is idle, but one of another loop may be. Evicting that frees a slot for the next connection.
    fn ask_others_to_evict(&mut self) {
        if self.ask_others_at.is_none_or(|at| at <= self.now) {
            self.ask_others_at = Some(self.now + IDLE_SCAN_PAUSE);
            for other in &self.others {
                other.evict();
            }
        }
    }

    fn open(&mut self, stream: TcpStream, peer: IpAddr, counted: bool) {
        count(&self.common.counters.accepted);
        // Answers are small and written once a turn; waiting to fill segments only adds delay.
        // A socket that refuses the option is broken, and its first read says so.
        let _ = stream.set_nodelay(true);
        let Self { connections, shared, storage, eviction, now, .. } = self;
        let id = connections.insert(|id| {
            let mut around = Surroundings { now: *now, id, shared, storage };
            Connection::new(stream, counted, Session::open(peer, &mut around))
        });
        eviction.accepted(id, connections);
        let connection = connections.get_mut(id).expect("inserted above");
        if self.life != Life::Serving {
            connection.read_last();
        }
        let interest = Interest::READABLE | Interest::WRITABLE;
        match self.poll.registry().register(connection.stream(), token_of(id), interest) {
            Ok(()) => self.list(id),
            Err(error) => {
                // The system is out of epoll watches or memory: this peer pays, not the loop.
                let (lines, listener) = (&self.common.unregistered, &*self.common.name);
                sparing!(by lines, WARN, listener, %error, "a connection could not be registered");
                self.close(id);
            }
        }
    }
}
