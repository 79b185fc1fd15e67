//! A hierarchical timing wheel (Varghese and Lauck, "Hashed and Hierarchical Timing Wheels", 1987).
//!
//! Ticks are milliseconds since the wheel was made. Level 0 has a slot per tick, each further level
//! a slot per 64 slots of the one below, so inserting costs a few shifts and expiring costs
//! constant time an entry and level. A bit per slot tells which ones hold anything, so the next
//! expiry is found without walking empty slots.
//!
//! Entries are not cancelled: the owner checks, when one fires, whether it still means something.
//! That keeps the wheel free of back-pointers, and a deadline that only moves later, as idle
//! timeouts do, costs nothing until it fires. An owner who sees that there are too many removes together those that mean
//! nothing any more ([`Wheel::retain`]).

use std::time::{Duration, Instant};

const TOP_LEVEL: u32 = 4;
const LEVELS: usize = TOP_LEVEL as usize + 1;
const SLOT_BITS: u32 = 6;
const SLOTS: usize = 1 << SLOT_BITS;

/// The farthest expiry, in ticks ahead: 63 slots of the highest level, a little over 12 days. The
/// 64th would be the slot that the wheel stands in. What is later is put there and fires early;
/// since owners look at their own deadline, they insert it again.
const HORIZON_TICKS: u64 = 63 << (SLOT_BITS * TOP_LEVEL);

/// Timers that carry a `T` each.
pub(crate) struct Wheel<T> {
    epoch: Instant,
    /// Every entry with an expiry tick below this one has fired.
    next_tick: u64,
    levels: [Level<T>; LEVELS],
    len: usize,
}

struct Level<T> {
    occupied: u64,
    slots: [Vec<Entry<T>>; SLOTS],
}

struct Entry<T> {
    tick: u64,
    value: T,
}

impl<T> Wheel<T> {
    /// What one timer takes, in bytes.
    pub(crate) const ENTRY_BYTES: usize = size_of::<Entry<T>>();

    pub(crate) fn new(epoch: Instant) -> Self {
        let level = || Level { occupied: 0, slots: std::array::from_fn(|_| Vec::new()) };
        Self { epoch, next_tick: 0, levels: std::array::from_fn(|_| level()), len: 0 }
    }

    /// How many timers there are.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Removes all timers that `keep` does not want, and gives their memory back. Looks at each.
    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&T) -> bool) {
        self.len = 0;
        for level in &mut self.levels {
            for (slot, entries) in level.slots.iter_mut().enumerate() {
                entries.retain(|entry| keep(&entry.value));
                entries.shrink_to_fit();
                self.len += entries.len();
                if entries.is_empty() {
                    level.occupied &= !(1 << slot);
                }
            }
        }
    }

    /// Fires `value` at the first [`Wheel::expire`] at or after `at`. Rounded up to a whole tick:
    /// late by less than a millisecond, never early.
    pub(crate) fn insert(&mut self, at: Instant, value: T) {
        let tick = self.tick_at_or_after(at);
        let tick = tick.clamp(self.next_tick, self.next_tick + HORIZON_TICKS);
        self.place(Entry { tick, value });
        self.len += 1;
    }

    /// When [`Wheel::expire`] should be called next; `None` when nothing is waiting. May be early
    /// for entries on higher levels, which then move down a level instead of firing.
    pub(crate) fn next_expiry(&self) -> Option<Instant> {
        if self.len == 0 {
            return None;
        }
        (0..LEVELS)
            .filter_map(|level| self.next_occupied_tick(level))
            .min()
            .map(|tick| self.epoch + Duration::from_millis(tick))
    }

    /// Calls `fire` for every entry whose time has come.
    pub(crate) fn expire(&mut self, now: Instant, mut fire: impl FnMut(T)) {
        let now_tick = self.tick_at_or_before(now);
        while self.len > 0 {
            let Some(tick) = (0..LEVELS).filter_map(|level| self.next_occupied_tick(level)).min()
            else {
                break;
            };
            if tick > now_tick {
                break;
            }
            self.next_tick = tick;
            // A higher level's slot that begins here moves down before level 0 fires.
            for level in (1..LEVELS).rev() {
                if self.next_occupied_tick(level) == Some(tick) {
                    for entry in self.take_slot(level, tick) {
                        self.place(entry);
                    }
                }
            }
            for entry in self.take_slot(0, tick) {
                debug_assert_eq!(entry.tick, tick);
                self.len -= 1;
                fire(entry.value);
            }
            self.next_tick = tick + 1;
        }
        self.next_tick = self.next_tick.max(now_tick + 1);
    }

    fn tick_at_or_after(&self, at: Instant) -> u64 {
        let since = at.saturating_duration_since(self.epoch);
        u64::try_from(since.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX / 2)
    }

    fn tick_at_or_before(&self, at: Instant) -> u64 {
        let since = at.saturating_duration_since(self.epoch);
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX / 2)
    }

    /// Puts an entry on the lowest level whose turn of 64 slots reaches it.
    fn place(&mut self, entry: Entry<T>) {
        let level = (0..LEVELS)
            .find(|&level| {
                slot_number(entry.tick, level) - slot_number(self.next_tick, level) < SLOTS as u64
            })
            .unwrap_or(LEVELS - 1);
        let slot = slot_index(entry.tick, level);
        let level = &mut self.levels[level];
        level.occupied |= 1 << slot;
        level.slots[slot].push(entry);
    }

    fn take_slot(&mut self, level: usize, tick: u64) -> Vec<Entry<T>> {
        let slot = slot_index(tick, level);
        let level = &mut self.levels[level];
        level.occupied &= !(1 << slot);
        std::mem::take(&mut level.slots[slot])
    }

    /// The first tick, at or after `next_tick`, at which an occupied slot of `level` begins.
    fn next_occupied_tick(&self, level: usize) -> Option<u64> {
        let occupied = self.levels[level].occupied;
        if occupied == 0 {
            return None;
        }
        let current = slot_number(self.next_tick, level);
        let turn = u32::try_from(current % SLOTS as u64).expect("below 64");
        let ahead = u64::from(occupied.rotate_right(turn).trailing_zeros());
        let begins = (current + ahead) << (SLOT_BITS * level_shift(level));
        Some(begins.max(self.next_tick))
    }
}

fn level_shift(level: usize) -> u32 {
    u32::try_from(level).expect("a handful of levels")
}

/// The number of the slot that holds `tick`, counted from the wheel's start.
fn slot_number(tick: u64, level: usize) -> u64 {
    tick >> (SLOT_BITS * level_shift(level))
}

fn slot_index(tick: u64, level: usize) -> usize {
    usize::try_from(slot_number(tick, level) % SLOTS as u64).expect("below 64")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ms(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    #[test]
    fn fires_at_its_tick_and_not_before() {
        for delay in [0, 1, 63, 64, 65, 4095, 4096, 4097, 262_144, 20_000_000] {
            let epoch = clock::now();
            let mut wheel = Wheel::new(epoch);
            wheel.insert(epoch + ms(delay), delay);
            let mut fired = Vec::new();
            if delay > 0 {
                wheel.expire(epoch + ms(delay - 1), |value| fired.push(value));
                assert!(fired.is_empty(), "{delay} fired early");
            }
            wheel.expire(epoch + ms(delay), |value| fired.push(value));
            assert_eq!(fired, [delay]);
            assert_eq!(wheel.next_expiry(), None);
        }
    }

    #[test]
    fn a_fraction_of_a_tick_rounds_up() {
        let epoch = clock::now();
        let mut wheel = Wheel::new(epoch);
        wheel.insert(epoch + Duration::from_micros(1500), ());
        let mut fired = 0;
        wheel.expire(epoch + Duration::from_micros(1900), |()| fired += 1);
        assert_eq!(fired, 0);
        wheel.expire(epoch + ms(2), |()| fired += 1);
        assert_eq!(fired, 1);
    }

    #[test]
    fn a_time_that_has_passed_fires_at_once() {
        let epoch = clock::now();
        let mut wheel = Wheel::new(epoch);
        wheel.expire(epoch + ms(500), |()| {});
        wheel.insert(epoch + ms(100), ());
        let mut fired = 0;
        wheel.expire(epoch + ms(501), |()| fired += 1);
        assert_eq!(fired, 1);
    }

    #[test]
    fn beyond_the_horizon_fires_early_rather_than_never() {
        let epoch = clock::now();
        let mut wheel = Wheel::new(epoch);
        wheel.insert(epoch + ms(HORIZON_TICKS * 3), ());
        let mut fired = 0;
        wheel.expire(epoch + ms(HORIZON_TICKS), |()| fired += 1);
        assert_eq!(fired, 1);
    }

    #[test]
    fn what_is_not_kept_does_not_fire_and_the_rest_does() {
        let epoch = clock::now();
        let mut wheel = Wheel::new(epoch);
        let delays = [0, 1, 63, 64, 4096, 4097, 262_144, 20_000_000];
        for delay in delays {
            wheel.insert(epoch + ms(delay), delay);
        }
        wheel.retain(|delay| delay % 2 == 1);
        assert_eq!(wheel.len(), 3);
        let mut fired = Vec::new();
        while let Some(next) = wheel.next_expiry() {
            wheel.expire(next, |value| fired.push((value, next)));
        }
        assert_eq!(fired, [1, 63, 4097].map(|delay| (delay, epoch + ms(delay))));
        wheel.insert(epoch + ms(30_000_000), 7);
        wheel.retain(|_| false);
        assert_eq!((wheel.len(), wheel.next_expiry()), (0, None));
    }

    proptest! {
        /// Against a sorted list: the same entries fire at the same step, in any sequence of
        /// inserts and advances; and waking up only when `next_expiry` says so misses none.
        #[test]
        fn agrees_with_a_sorted_list(
            steps in prop::collection::vec((0u64..400_000, 0u64..90_000), 1..80)
        ) {
            let epoch = clock::now();
            let mut wheel = Wheel::new(epoch);
            let mut model: Vec<(u64, usize)> = Vec::new();
            let mut now = 0;
            for (number, (delay, advance)) in steps.into_iter().enumerate() {
                wheel.insert(epoch + ms(now + delay), number);
                model.push((now + delay, number));
                let until = now + advance;
                let mut fired = Vec::new();
                while let Some(next) = wheel.next_expiry().filter(|&next| next <= epoch + ms(until)) {
                    wheel.expire(next, |value| fired.push(value));
                }
                now = until;
                wheel.expire(epoch + ms(now), |_| panic!("next_expiry missed an entry"));
                let mut due: Vec<usize> =
                    model.extract_if(.., |(at, _)| *at <= now).map(|(_, number)| number).collect();
                fired.sort_unstable();
                due.sort_unstable();
                prop_assert_eq!(fired, due);
                prop_assert_eq!(wheel.len, model.len());
            }
        }
    }
}
