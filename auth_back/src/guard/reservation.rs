//! An attempt that was let through, until it is known what came of it.

use std::sync::Arc;

use super::bucket::{Charge, Pair, give_back};
use super::shared::Ticket;
use super::time::Tick;
use super::{Bucket, Guard};

/// The right to one attempt. It counts as a wrong guess from the moment it is given, so that guesses
/// made at the same time cannot pass a limit together, and until it is settled:
///
/// | what came of it | call | what happens |
/// |---|---|---|
/// | the password is right | [`clear`](Self::clear) | the account's and its own failures are forgotten, the network gets it back |
/// | it is wrong, or a name was told | [`keep`](Self::keep) | it stays counted |
/// | no hash was begun, or it came to no verdict ([`undo`](Self::undo)): the deadline passed, the store was away, the record is broken | drop | it is given back: nothing was learned, and a store that is away must lock nobody out |
/// | a hash was begun ([`begin`](Self::begin)) and no verdict came: a panic | drop | it stays counted: who can make the server stumble must not get guesses for it |
#[derive(Debug)]
#[must_use = "dropping it gives the attempt back"]
pub struct Reservation {
    guard: Arc<Guard>,
    now: Tick,
    charges: [Option<(Bucket, u64, Charge)>; 3],
    /// The network that becomes known when a device logs in from it.
    network_of_device: Option<u64>,
    /// The same in Redis.
    shared: Option<Ticket>,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Nothing can have been learned yet.
    Reserved,
    /// Something may be learned.
    Begun,
    /// The password was right.
    Right,
}

impl Reservation {
    pub(super) fn new(guard: Arc<Guard>, now: Tick) -> Self {
        Self {
            guard,
            now,
            charges: [None; 3],
            network_of_device: None,
            shared: None,
            stage: Stage::Reserved,
        }
    }

    /// Adds what was charged.
    pub(super) fn add(&mut self, bucket: Bucket, key: u64, charge: Charge) {
        let free = self.charges.iter_mut().find(|place| place.is_none());
        *free.expect("an attempt is charged to three buckets at the most") =
            Some((bucket, key, charge));
    }

    /// Adds the network that a device is in, by the key that the account has for it.
    pub(super) fn set_network_of_device(&mut self, key: u64) {
        self.network_of_device = Some(key);
    }

    /// Adds what was charged in Redis.
    pub(super) fn set_shared(&mut self, ticket: Ticket) {
        self.shared = Some(ticket);
    }

    /// From here on the attempt counts unless it proves right.
    pub fn begin(&mut self) {
        self.stage = Stage::Begun;
    }

    /// What was begun came to no verdict: the record could not be read.
    pub fn undo(&mut self) {
        self.stage = Stage::Reserved;
    }

    /// The password was right.
    pub fn clear(mut self) {
        self.stage = Stage::Right;
    }

    /// The password was wrong, or the answer tells whether a name is taken.
    pub fn keep(mut self) {
        self.stage = Stage::Begun;
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if let (Some(shared), Some(ticket)) = (&self.guard.shared, &self.shared)
            && self.stage != Stage::Begun
        {
            shared.settle(ticket, self.stage == Stage::Right);
        }
        let now = self.now;
        for (bucket, key, charge) in self.charges.iter().rev().copied().flatten() {
            let table = self.guard.table(bucket);
            match (self.stage, bucket) {
                (Stage::Begun, _) => {}
                (Stage::Right, Bucket::AccountNetwork) => {
                    // A new entry if the old one had to go: it is worth remembering who is known.
                    table.visit(key, now, |entry| Pair::succeed(entry, now));
                }
                (Stage::Right, Bucket::AccountDevice | Bucket::Account) => {
                    table.visit_known(key, now, |entry| entry.level = 0);
                }
                (Stage::Reserved, _) | (Stage::Right, Bucket::Network) => {
                    table.visit_known(key, now, |entry| give_back(entry, charge));
                }
            }
        }
        if let (Stage::Right, Some(key)) = (self.stage, self.network_of_device) {
            // Known from now on, for when the marker is lost; its own failures stay.
            self.guard.pairs.visit(key, now, |entry| entry.mark = now);
        }
    }
}
