//! What a loop does when its memory for buffers is used up: it closes the connections that hold most and have not moved a
//! byte for a second; if those are too few, then the others that hold most.
//!
//! An ordinary request holds a few KiB for a moment. Connections that fill this memory hold many times as much, or hold it
//! for longer.

use std::cmp::Reverse;

use sparing::sparing;

use super::EventLoop;
use crate::counters::count;
use crate::protocol::Protocol;

impl<P: Protocol> EventLoop<P> {
    /// Closes connections until enough memory is free.
    #[cold]
    pub(super) fn relieve_storage(&mut self) {
        self.storage.free_all_spares();
        if !self.storage.is_over() {
            return;
        }
        let mut holders = Vec::new();
        for (id, connection) in self.connections.iter_mut() {
            let bytes = connection.held_bytes();
            if bytes > 0 {
                holders.push((connection.is_still(), bytes, id));
            }
        }
        holders.sort_unstable_by_key(|(still, bytes, _)| Reverse((*still, *bytes)));
        let mut closed = 0_usize;
        for (_, _, id) in holders {
            if self.storage.is_relieved() {
                break;
            }
            self.close(id);
            self.storage.free_all_spares();
            count(&self.common.counters.closed_for_memory);
            closed += 1;
        }
        sparing!(
            by self.common.relieved,
            WARN,
            listener = &*self.common.name,
            closed,
            "memory for buffers used up: closed the connections that held most"
        );
    }

    /// Frees spare buffers that were not needed, and while memory is short notes which connections have not moved.
    pub(super) fn tidy_storage(&mut self) {
        self.tidy_armed = false;
        self.storage.tidy();
        if self.storage.is_tight() {
            for (_, connection) in self.connections.iter_mut() {
                if connection.held_bytes() > 0 {
                    connection.note_stillness();
                }
            }
        }
    }
}
