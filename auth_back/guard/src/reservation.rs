//! An attempt that was let through, until it is known what came of it.

use std::fmt;
use std::sync::Arc;

use credentials::Cost;

use super::bucket::Outcome;
use super::local::LocalTicket;
use super::shared::SharedTicket;
use super::tables::Tables;

/// The right to one attempt. It counts as a wrong guess from the moment it is given, so that guesses
/// made at the same time cannot pass a limit together, and until it is settled:
///
/// | what came of it | call | what happens |
/// |---|---|---|
/// | the password is right | [`clear`](Self::clear) | the account's and its own failures are forgotten, the network gets it back |
/// | it is wrong, or a name was told | [`keep`](Self::keep) | it stays counted |
/// | no hash was begun, or it came to no verdict ([`undo`](Self::undo)): the store was away, the record is broken | drop | it is given back: nothing was learned, and a store that is away must lock nobody out |
/// | a hash was begun ([`begin`](Self::begin)) and no verdict came: a panic | drop | it stays counted: who can make the server stumble must not get guesses for it |
/// | it waited for its hash until its time ran out ([`hold`](Self::hold)) | drop | the account gets it back, since nothing was learned; for the network it stays counted, since others waited behind it |
///
/// An attempt that costs more than a usual one is charged to the network for what it costs
/// ([`charge`](Self::charge)). To the account it is one guess.
#[must_use = "dropping it gives the attempt back"]
pub struct Reservation {
    tables: Arc<Tables>,
    local: LocalTicket,
    /// The same in Redis.
    shared: Option<SharedTicket>,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Nothing can have been learned yet.
    Reserved,
    /// Something may be learned.
    Begun,
    /// Nothing was learned, and others waited.
    Held,
    /// The password was right.
    Right,
}

impl Reservation {
    pub(super) fn new(tables: Arc<Tables>, local: LocalTicket) -> Self {
        Self { tables, local, shared: None, stage: Stage::Reserved }
    }

    /// Adds what was charged in Redis.
    pub(super) fn set_shared(&mut self, ticket: SharedTicket) {
        self.shared = Some(ticket);
    }

    /// Whether this server knows who tries.
    pub(super) fn is_known(&self) -> bool {
        self.local.is_known
    }

    /// Charges the attempt to its network by what it costs, at most half of a burst. Given back with the
    /// attempt. Blocks for a round trip where servers count together in Redis and the cost is not a usual one.
    pub fn charge(&mut self, cost: Cost) {
        let more = self.tables.local.charge_of(cost.usual_hashes());
        if more == 0 {
            return;
        }
        self.tables.local.charge_more(&mut self.local, more);
        if let (Some(shared), Some(ticket)) = (&self.tables.shared, &mut self.shared) {
            shared.charge_more(ticket, more);
        }
    }

    /// From here on the attempt counts unless it proves right.
    pub fn begin(&mut self) {
        self.stage = Stage::Begun;
    }

    /// What was begun came to no verdict: the record could not be read.
    pub fn undo(&mut self) {
        self.stage = Stage::Reserved;
    }

    /// No hash was begun before the time of the attempt ran out, and it had a place in the queue until then.
    pub fn hold(&mut self) {
        self.stage = Stage::Held;
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

impl fmt::Debug for Reservation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reservation").field("stage", &self.stage).finish_non_exhaustive()
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let outcome = match self.stage {
            Stage::Begun => return,
            Stage::Reserved => Outcome::Nothing,
            Stage::Held => Outcome::Held,
            Stage::Right => Outcome::Right,
        };
        if let (Some(shared), Some(ticket)) = (&self.tables.shared, &self.shared) {
            shared.settle(ticket, outcome);
        }
        self.tables.local.settle(&self.local, outcome);
    }
}
