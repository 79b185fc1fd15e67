//! Which auth server serves next. This is the seam for further ways of balancing.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use super::server::Server;

/// The servers that one batch has tried already, by their place in the list.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tried(u64);

const _: () = assert!(crate::limits::AUTH_SERVERS_MAX <= u64::BITS as usize);

impl Tried {
    pub(crate) fn add(&mut self, index: usize) {
        self.0 |= 1 << index;
    }

    pub(crate) fn contains(self, index: usize) -> bool {
        self.0 & (1 << index) != 0
    }
}

/// Picks servers. Called by many threads at once, once a batch.
pub(crate) trait Balance: Send + Sync {
    /// The place in `servers` of one that was not tried and is worth trying, or `None`.
    fn pick(&self, servers: &[Server], tried: Tried, now: Instant) -> Option<usize>;
}

/// Each server in its turn. One that failed lately is passed over as long as another is left: it
/// gets a request again after a while, and all of them once it has answered that. One that stops before long is passed
/// over as long as another is well.
#[derive(Debug, Default)]
pub(crate) struct RoundRobin {
    next: AtomicUsize,
}

impl Balance for RoundRobin {
    fn pick(&self, servers: &[Server], tried: Tried, now: Instant) -> Option<usize> {
        let start = self.next.fetch_add(1, Ordering::Relaxed);
        let turn = || {
            (0..servers.len())
                .map(|step| start.wrapping_add(step) % servers.len())
                .filter(|&index| !tried.contains(index))
        };
        // When none is known to be well, trying one costs less than refusing a client.
        let is_staying = |&index: &usize| !servers[index].health.is_draining();
        let is_admitted = |&index: &usize| servers[index].health.admits(now);
        let staying = turn().filter(is_staying).find(is_admitted);
        staying.or_else(|| turn().find(is_admitted)).or_else(|| turn().next())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::RETRY_AFTER_FAILURE;
    use std::net::SocketAddr;

    fn servers(count: u16, now: Instant) -> Vec<Server> {
        (0..count)
            .map(|n| Server::new(SocketAddr::from(([127, 0, 0, 1], 1 + n)), 1, now).unwrap())
            .collect()
    }

    fn picks(balance: &RoundRobin, servers: &[Server], count: usize, now: Instant) -> Vec<usize> {
        (0..count).filter_map(|_| balance.pick(servers, Tried::default(), now)).collect()
    }

    #[test]
    fn every_server_gets_its_turn() {
        let now = clock::now();
        let servers = servers(3, now);
        assert_eq!(picks(&RoundRobin::default(), &servers, 7, now), [0, 1, 2, 0, 1, 2, 0]);
    }

    #[test]
    fn a_failed_server_is_passed_over_then_tried_once_then_trusted() {
        let now = clock::now();
        let servers = servers(2, now);
        let balance = RoundRobin::default();
        servers[0].health.failed(now);
        assert_eq!(picks(&balance, &servers, 4, now), [1, 1, 1, 1]);
        let later = now + RETRY_AFTER_FAILURE;
        assert_eq!(picks(&balance, &servers, 4, later), [0, 1, 1, 1]);
        servers[0].health.answered();
        assert_eq!(picks(&balance, &servers, 4, later), [0, 1, 0, 1]);
    }

    #[test]
    fn a_server_that_stops_gets_nothing_new_while_another_is_well() {
        let now = clock::now();
        let servers = servers(3, now);
        let balance = RoundRobin::default();
        servers[1].health.set_draining(true);
        assert_eq!(picks(&balance, &servers, 4, now), [0, 2, 2, 0]);
        servers[0].health.failed(now);
        servers[2].health.set_draining(true);
        assert_eq!(picks(&balance, &servers, 3, now), [1, 2, 1]);
        servers[1].health.set_draining(false);
        assert_eq!(picks(&balance, &servers, 3, now), [1, 1, 1]);
    }

    #[test]
    fn when_all_have_failed_one_is_tried_all_the_same() {
        let now = clock::now();
        let servers = servers(2, now);
        servers[0].health.failed(now);
        servers[1].health.failed(now);
        assert_eq!(picks(&RoundRobin::default(), &servers, 2, now), [0, 1]);
    }

    #[test]
    fn a_batch_does_not_try_a_server_twice() {
        let now = clock::now();
        let servers = servers(2, now);
        let balance = RoundRobin::default();
        let mut tried = Tried::default();
        for _ in 0..2 {
            tried.add(balance.pick(&servers, tried, now).unwrap());
        }
        assert_eq!(balance.pick(&servers, tried, now), None);
    }
}
