//! Faults drawn from a seed.

use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::link::{BlackHole, End, Ending, Link, Links};
use super::random::Random;

/// Which faults each connection meets. The same seed and menu give the same faults: they depend on the number
/// of the connection and on how many bytes went over it, not on any time.
#[derive(Clone, Debug)]
pub struct Schedule {
    seed: u64,
    menu: Vec<Chance>,
}

/// A fault that one link in `one_in` meets.
#[derive(Clone, Debug)]
pub struct Chance {
    /// Of so many links, one; 1 is each.
    pub one_in: u64,
    /// What it meets.
    pub fault: Fault,
}

/// A fault whose measures are drawn. Of several that set the same of a [`Link`], the last one drawn stays.
#[derive(Clone, Debug)]
pub enum Fault {
    /// [`Link::latency`], in milliseconds.
    Latency(RangeInclusive<u64>),
    /// [`Link::jitter`], in milliseconds.
    Jitter(RangeInclusive<u64>),
    /// [`Link::bytes_per_second`].
    Bandwidth(RangeInclusive<u32>),
    /// [`Link::single_bytes`].
    SingleBytes,
    /// [`Link::black_hole`], after so many bytes, for so many milliseconds.
    Pause {
        /// After so many bytes.
        after: RangeInclusive<u64>,
        /// For so many milliseconds.
        ms: RangeInclusive<u64>,
    },
    /// [`Link::end`], after so many bytes.
    End(Ending, RangeInclusive<u64>),
}

impl Fault {
    /// This fault for one link in `one_in`.
    #[must_use]
    pub fn one_in(self, one_in: u64) -> Chance {
        Chance { one_in, fault: self }
    }
}

impl Schedule {
    /// The schedule of `seed`, of the faults on this menu.
    #[must_use]
    pub fn new(seed: u64, menu: Vec<Chance>) -> Self {
        Self { seed, menu }
    }

    /// What it was drawn from.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// What the connection with this number meets.
    #[must_use]
    pub fn links_of(&self, connection: u64) -> Links {
        let mut random = Random::of(self.seed, connection);
        Links { to_server: self.draw(&mut random), to_client: self.draw(&mut random) }
    }

    fn draw(&self, random: &mut Random) -> Link {
        let mut link = Link::default();
        for Chance { one_in, fault } in &self.menu {
            // Drawn in any case, so that one fault more or less does not change the others.
            let is_met = random.within(0..=one_in.saturating_sub(1)) == 0;
            let mut within = |range: &RangeInclusive<u64>| random.within(range.clone());
            match fault {
                Fault::Latency(ms) => set(&mut link.latency, is_met, millis(within(ms))),
                Fault::Jitter(ms) => set(&mut link.jitter, is_met, millis(within(ms))),
                Fault::Bandwidth(bytes) => {
                    let drawn = within(&(u64::from(*bytes.start())..=u64::from(*bytes.end())));
                    let drawn = u32::try_from(drawn).unwrap_or(u32::MAX).max(1);
                    set(&mut link.bytes_per_second, is_met, Some(drawn));
                }
                Fault::SingleBytes => set(&mut link.single_bytes, is_met, true),
                Fault::Pause { after, ms } => {
                    let (after, lasts) = (within(after), Some(millis(within(ms))));
                    set(&mut link.black_hole, is_met, Some(BlackHole { after, lasts }));
                }
                Fault::End(how, after) => {
                    let end = End { how: *how, after: within(after) };
                    set(&mut link.end, is_met, Some(end));
                }
            }
        }
        link
    }
}

/// What the first connections meet, one a line.
impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "schedule of seed {}:", self.seed)?;
        for connection in 0..8 {
            write!(f, "\n  connection {connection}: {}", self.links_of(connection))?;
        }
        Ok(())
    }
}

fn millis(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn set<T>(place: &mut T, is_met: bool, drawn: T) {
    if is_met {
        *place = drawn;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(seed: u64) -> Schedule {
        let menu = vec![
            Fault::Latency(1..=20).one_in(2),
            Fault::SingleBytes.one_in(3),
            Fault::Bandwidth(100..=1_000_000).one_in(4),
            Fault::Pause { after: 0..=500, ms: 1..=100 }.one_in(4),
            Fault::End(Ending::Cut, 0..=2_000).one_in(4),
            Fault::End(Ending::Reset, 0..=2_000).one_in(4),
        ];
        Schedule::new(seed, menu)
    }

    #[test]
    fn the_same_seed_gives_the_same_schedule_and_another_gives_another() {
        let of = |seed| (0..50).map(|number| schedule(seed).links_of(number)).collect::<Vec<_>>();
        assert_eq!(of(7), of(7));
        assert_ne!(of(7), of(8));
        // In any order: a connection's faults depend on nothing but its number.
        assert_eq!(schedule(7).links_of(49), of(7)[49]);
        assert_eq!(schedule(7).to_string(), schedule(7).to_string());
        assert_ne!(schedule(7).to_string(), schedule(8).to_string());
    }

    #[test]
    fn every_fault_is_met_by_some_and_none_by_all() {
        let links: Vec<Link> = (0..200)
            .map(|number| schedule(1).links_of(number))
            .flat_map(|links| [links.to_server, links.to_client])
            .collect();
        let met = |is_met: fn(&Link) -> bool| {
            let count = links.iter().filter(|link| is_met(link)).count();
            assert!((20..380).contains(&count), "{count}");
        };
        met(|link| !link.latency.is_zero());
        met(|link| link.single_bytes);
        met(|link| link.bytes_per_second.is_some());
        met(|link| link.black_hole.is_some());
        met(|link| link.end.is_some_and(|end| end.how == Ending::Cut));
        met(|link| link.end.is_some_and(|end| end.how == Ending::Reset));
        met(|link| *link == Link::default());
        assert!(links.iter().all(|link| link.latency <= millis(20)));
    }

    #[test]
    fn a_person_can_read_it() {
        let menu = vec![Fault::End(Ending::Reset, 10..=10).one_in(1)];
        let text = Schedule::new(3, menu).to_string();
        let line = "  connection 7: to the server reset after 10 bytes; to the client reset after 10 bytes";
        assert!(text.starts_with("schedule of seed 3:\n  connection 0: "), "{text}");
        assert!(text.ends_with(line), "{text}");
    }
}
