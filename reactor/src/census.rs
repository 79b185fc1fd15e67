//! The caps on connections, in all and by party, over all loops of a reactor.
//!
//! Loops share only this, and use it only when a connection is accepted or closed. If each loop had a part of the caps
//! instead, one loop would reject connections while others have free slots.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

use addresses::Source;
use parking_lot::Mutex;

use crate::limits::{Limits, SITE_CONNECTIONS_FACTOR};

/// Connections that are open, in all and by party.
pub(crate) struct Census {
    connections_max: usize,
    per_address_max: usize,
    open: AtomicUsize,
    /// Of IPv4 by address, of IPv6 by /56 and by /48. Its lock is held for as long as it takes to count one.
    by_source: Mutex<HashMap<Source, usize>>,
}

/// Why a connection is rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The cap of all connections is reached.
    Full,
    /// The cap of its party is reached.
    Source,
}

impl Census {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            connections_max: limits.connections_max,
            per_address_max: limits.connections_per_address_max,
            open: AtomicUsize::new(0),
            by_source: Mutex::default(),
        }
    }

    /// Whether the cap of a party can be reached before the cap of all.
    pub(crate) fn caps_sources(&self) -> bool {
        self.per_address_max < self.connections_max
    }

    /// Whether the cap of all connections is reached.
    pub(crate) fn is_full(&self) -> bool {
        self.open.load(Ordering::Relaxed) >= self.connections_max
    }

    /// Counts a connection; for its party too if `counted`.
    pub(crate) fn admit(&self, address: IpAddr, counted: bool) -> Result<(), Refusal> {
        if counted {
            self.count_source(address)?;
        }
        let one_more = |open| (open < self.connections_max).then_some(open + 1);
        match self.open.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more) {
            Ok(_) => Ok(()),
            Err(_) => {
                if counted {
                    self.forget_source(address);
                }
                Err(Refusal::Full)
            }
        }
    }

    /// A connection that was admitted is closed.
    pub(crate) fn depart(&self, address: IpAddr, counted: bool) {
        self.open.fetch_sub(1, Ordering::Relaxed);
        if counted {
            self.forget_source(address);
        }
    }

    fn count_source(&self, address: IpAddr) -> Result<(), Refusal> {
        let parties = self.parties(address);
        let mut by_source = self.by_source.lock();
        let full = |&(source, max): &(Source, usize)| {
            by_source.get(&source).is_some_and(|open| *open >= max)
        };
        if parties.iter().flatten().any(full) {
            return Err(Refusal::Source);
        }
        for (source, _) in parties.into_iter().flatten() {
            *by_source.entry(source).or_insert(0) += 1;
        }
        Ok(())
    }

    fn forget_source(&self, address: IpAddr) {
        let mut by_source = self.by_source.lock();
        for (source, _) in self.parties(address).into_iter().flatten() {
            if let Some(open) = by_source.get_mut(&source) {
                *open -= 1;
                if *open == 0 {
                    by_source.remove(&source);
                }
            }
        }
        // The memory of a flood of sources is freed.
        if by_source.capacity() > 8 * by_source.len().max(128) {
            let capacity = 2 * by_source.len();
            by_source.shrink_to(capacity);
        }
    }

    /// The parties that an address counts for, and the cap of each.
    fn parties(&self, address: IpAddr) -> [Option<(Source, usize)>; 2] {
        let home = Source::of(address).home();
        let site = (home.site() != home).then_some(home.site());
        let site_max = self.per_address_max.saturating_mul(SITE_CONNECTIONS_FACTOR);
        [Some((home, self.per_address_max)), site.map(|site| (site, site_max))]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn census(connections_max: usize, connections_per_address_max: usize) -> Census {
        Census::new(Limits {
            connections_max,
            connections_per_address_max,
            buffer_bytes_max: usize::MAX,
        })
    }

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    /// Opens connections from all of `addresses`; how many were admitted.
    fn admitted<'a>(census: &Census, addresses: impl IntoIterator<Item = &'a str>) -> usize {
        let admit = |text: &&str| census.admit(address(text), true).is_ok();
        addresses.into_iter().filter(admit).count()
    }

    #[test]
    fn what_counts_as_one_party() {
        #[track_caller]
        fn check(addresses: &[&str], expected: usize) {
            let census = census(100, 2);
            assert_eq!(admitted(&census, addresses.iter().copied()), expected, "{addresses:?}");
            assert_eq!(census.open.load(Ordering::Relaxed), expected);
        }
        check(&["192.0.2.1", "192.0.2.1", "192.0.2.1"], 2);
        check(&["192.0.2.1", "::ffff:192.0.2.1", "192.0.2.1"], 2);
        check(&["192.0.2.1", "192.0.2.2", "192.0.2.3"], 3);
        // A host of IPv6 chooses its addresses freely, and a home has 256 networks.
        check(&["2001:db8::1", "2001:db8::2", "2001:db8::3"], 2);
        check(&["2001:db8::1", "2001:db8:0:1::1", "2001:db8:0:ff::1"], 2);
        check(&["2001:db8::1", "2001:db8:0:100::1", "2001:db8:0:200::1"], 3);
    }

    #[test]
    fn a_site_has_four_times_as_many() {
        let census = census(100, 2);
        let homes: Vec<String> = (0..20).map(|n| format!("2001:db8:7:{n:x}00::1")).collect();
        assert_eq!(admitted(&census, homes.iter().map(String::as_str)), 8);
        assert_eq!(census.admit(address("2001:db8:7:ff00::1"), true), Err(Refusal::Source));
        assert_eq!(census.admit(address("2001:db8:8::1"), true), Ok(()));
        // A slot that one home frees is open to another home of the site, if that has not reached its own cap.
        census.depart(address(&homes[0]), true);
        assert_eq!(census.admit(address(&homes[19]), true), Ok(()));
        assert_eq!(census.admit(address(&homes[18]), true), Err(Refusal::Source));
    }

    #[test]
    fn slots_come_back_and_nothing_is_kept_of_closed_connections() {
        let census = census(3, 2);
        let (one, other) = (address("192.0.2.1"), address("2001:db8::1"));
        for _ in 0..3 {
            assert_eq!(census.admit(one, true), Ok(()));
            assert_eq!(census.admit(other, true), Ok(()));
            assert_eq!(
                census.admit(one, false),
                Ok(()),
                "what is not counted has only the cap of all"
            );
            assert_eq!(census.admit(other, true), Err(Refusal::Full));
            assert_eq!(census.by_source.lock().len(), 3);
            census.depart(one, true);
            census.depart(one, false);
            census.depart(other, true);
            assert!(census.by_source.lock().is_empty());
        }
    }

    #[test]
    fn a_flood_of_sources_does_not_keep_its_memory() {
        let census = census(100_000, 2);
        let sources: Vec<_> = (0..20_000u32).map(|n| IpAddr::V4(n.into())).collect();
        for source in &sources {
            census.admit(*source, true).expect("below the caps");
        }
        for source in &sources {
            census.depart(*source, true);
        }
        assert!(census.by_source.lock().capacity() < 4096);
    }

    #[test]
    fn the_cap_of_all_is_exact_over_threads() {
        let census = census(500, 1000);
        let admitted = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..400 {
                        if census.admit(address("192.0.2.1"), true).is_ok() {
                            admitted.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                });
            }
        });
        assert_eq!(admitted.into_inner(), 500);
        assert_eq!(census.by_source.lock().values().sum::<usize>(), 500);
    }
}
