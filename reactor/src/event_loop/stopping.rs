//! How a loop ends: it takes the connections that the kernel has taken for it, reads each of its connections once
//! more, and serves what has come.

use std::time::Instant;

use super::EventLoop;
use super::state::{Accepting, Life, Timer};
use crate::counters::count;
use crate::limits::{BACKLOG, LINGER_STOPPING_MAX};
use crate::protocol::Protocol;

impl<P: Protocol> EventLoop<P> {
    /// Stops listening once nobody waits to be accepted, and tells every connection once it was read.
    pub(super) fn begin_shutdown(&mut self, by: Instant) {
        if self.life != Life::Serving {
            return;
        }
        P::on_drain(&mut self.shared);
        self.life = Life::LastArrivals { left: usize::try_from(BACKLOG).unwrap_or(0) };
        self.wheel.insert(by, Timer::GraceOver);
        let lingering_end = self.now + LINGER_STOPPING_MAX;
        for id in self.connections.ids() {
            let connection = self.connections.get_mut(id).expect("listed just now");
            connection.hurry(lingering_end);
            connection.read_last();
            self.list(id);
        }
        // Those get their turn in this one's visits. What no descriptors are there for waits until others have closed.
        if self.accepting != Accepting::Pausing {
            self.accept();
        }
    }

    /// A connection was accepted, or had gone when it was.
    pub(super) fn count_last_arrival(&mut self) {
        if let Life::LastArrivals { left } = &mut self.life {
            *left = left.saturating_sub(1);
        }
    }

    /// Whether no more connections are accepted, though some may wait.
    pub(super) fn has_accepted_enough(&self) -> bool {
        matches!(self.life, Life::LastArrivals { left: 0 } | Life::Closing)
    }

    /// Stops listening, if those were accepted who had come before.
    pub(super) fn close_gate_if_done(&mut self) {
        if let Life::LastArrivals { .. } = self.life
            && (self.accepting == Accepting::Waiting || self.has_accepted_enough())
        {
            self.close_gate();
        }
    }

    fn close_gate(&mut self) {
        self.gate.close();
        self.life = Life::Closing;
        if self.accepting == Accepting::CutOff {
            self.accepting = Accepting::Waiting;
        }
    }

    /// The grace period is over.
    pub(super) fn cut_all(&mut self) {
        self.close_gate();
        for (id, connection) in self.connections.iter_mut() {
            // Those have had their answers.
            if !connection.is_lingering() {
                count(&self.common.counters.cut);
            }
            self.ready.push_back(id);
        }
        while let Some(id) = self.ready.pop_front() {
            self.close(id);
        }
    }
}
