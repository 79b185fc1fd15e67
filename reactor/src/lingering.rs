//! The connections of a loop that linger, and the bound on their number.

use std::collections::VecDeque;

use crate::limits::{LINGERING_MAX, LINGERING_SHARE, LISTED_PER_CONNECTION_MAX};
use crate::protocol::ConnectionId;

/// Lingering connections, oldest first.
pub(crate) struct Lingering {
    /// Includes some that are closed by now.
    order: VecDeque<ConnectionId>,
    count: usize,
    count_max: usize,
}

impl Lingering {
    /// For a loop that has a share of `connections_max` connections.
    pub(crate) fn new(connections_max: usize) -> Self {
        let count_max = LINGERING_MAX.min((connections_max / LINGERING_SHARE).max(1));
        let order = VecDeque::with_capacity(LISTED_PER_CONNECTION_MAX * count_max + 1);
        Self { order, count: 0, count_max }
    }

    /// One more connection lingers. `is_there` says whether a listed connection still lingers.
    pub(crate) fn begun(
        &mut self,
        id: ConnectionId,
        mut is_there: impl FnMut(ConnectionId) -> bool,
    ) {
        self.order.push_back(id);
        self.count += 1;
        if self.order.len() > LISTED_PER_CONNECTION_MAX * self.count_max {
            self.order.retain(|id| is_there(*id));
        }
    }

    /// A lingering connection was closed.
    pub(crate) fn ended(&mut self) {
        self.count -= 1;
    }

    /// The connection that has lingered longest, if there are too many. It may be closed already.
    pub(crate) fn pop_surplus(&mut self) -> Option<ConnectionId> {
        if self.count > self.count_max { self.order.pop_front() } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::connection_id;

    #[test]
    fn the_bound_is_a_share_of_the_connections() {
        let check = |connections, expected| {
            assert_eq!(Lingering::new(connections).count_max, expected, "of {connections}");
        };
        check(1, 1);
        check(8, 2);
        check(LINGERING_SHARE * LINGERING_MAX, LINGERING_MAX);
        check(1_000_000, LINGERING_MAX);
    }

    #[test]
    fn the_oldest_is_cut_first_and_those_that_have_gone_are_forgotten() {
        let mut lingering = Lingering::new(8);
        let (mut there, mut cut) = (Vec::new(), Vec::new());
        for slot in 0..100 {
            let id = connection_id(slot);
            there.push(id);
            lingering.begun(id, |id| there.contains(&id));
            while let Some(oldest) = lingering.pop_surplus() {
                if let Some(at) = there.iter().position(|id| *id == oldest) {
                    there.remove(at);
                    lingering.ended();
                    cut.push(oldest);
                }
            }
            // Every third goes by itself at once.
            if slot % 3 == 0 {
                there.retain(|other| *other != id);
                lingering.ended();
            }
            assert!(there.len() <= 2 && lingering.order.len() <= 5, "{there:?}");
        }
        assert!(cut.is_sorted_by_key(|id| id.slot), "{cut:?}");
        assert!(cut.len() > 50);
    }
}
