//! A hash table of fixed size that forgets what does the least harm.
//!
//! All memory is reserved when the table is made; the system hands it out page by page as it is
//! first used, and never more. A key belongs to one set of [`WAYS`] entries. When a new key comes and
//! its set is full, the entry of least worth goes, the longest untouched among equals. The worth is
//! the owner's to define; it grows with the wrong guesses that an entry has counted, and those cost
//! whoever makes them a hash each. So to push out an entry that has counted `n`, a flood has to bring
//! every other entry of its set to `n` first, and since keys are hashed under a secret seed, nobody
//! can tell which names share a set: it takes about `n` guesses for *each entry of the whole table*.
//!
//! Keys are kept as 64 bits of a seeded hash. Two that collide share a count: with a million entries
//! the chance that a given key meets another is one in ten million million.

use parking_lot::Mutex;

use super::limits::{SHARDS, WAYS};
use super::time::Tick;

/// What is known under one key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Entry {
    /// When the last attempt was let through.
    pub(super) last: Tick,
    /// Another moment, as the owner of the table uses it.
    pub(super) mark: Tick,
    /// Attempts that count.
    pub(super) level: u32,
}

/// What an entry is worth at a moment; zero is nothing at all.
pub(super) type Worth = fn(&Entry, Tick) -> u32;

/// The two halves of a key, zero for none, and its entry: last, mark, level, and room to grow. Integers
/// and not a struct, because only of integers the library knows that zeroed pages will do; a table of
/// structs would be written to once, and all of its memory taken at start.
type Slot = [u32; 6];
type Set = [Slot; WAYS];

/// The table.
pub(super) struct Table {
    shards: Box<[Mutex<Box<[Set]>>]>,
    worth: Worth,
}

impl Table {
    /// A table that takes `bytes` at the most.
    pub(super) fn new(bytes: u64, worth: Worth) -> Self {
        let sets = usize::try_from(bytes).unwrap_or(usize::MAX) / size_of::<Set>() / SHARDS;
        let sets = sets.max(1);
        // Zeroed pages that nobody has touched cost nothing yet.
        let shard = || Mutex::new(vec![[Slot::default(); WAYS]; sets].into_boxed_slice());
        Self { shards: (0..SHARDS).map(|_| shard()).collect(), worth }
    }

    /// Shows the entry of `key`, a new one if there is none, and keeps what `visit` makes of it.
    pub(super) fn visit<T>(&self, key: u64, now: Tick, visit: impl FnOnce(&mut Entry) -> T) -> T {
        self.with_set(key, |set, key| {
            let at = find(set, key).unwrap_or_else(|| {
                let at = self.least(set, now);
                set[at] = Entry::default().packed(key);
                at
            });
            self.visit_slot(&mut set[at], now, visit)
        })
    }

    /// The entry of `key`, a new one if there is none. Nothing is kept.
    pub(super) fn peek(&self, key: u64) -> Entry {
        self.with_set(key, |set, key| find(set, key).map(|at| Entry::of(&set[at])))
            .unwrap_or_default()
    }

    /// Shows the entry of `key` if there is one, and keeps what `visit` makes of it.
    pub(super) fn visit_known<T>(
        &self,
        key: u64,
        now: Tick,
        visit: impl FnOnce(&mut Entry) -> T,
    ) -> Option<T> {
        self.with_set(key, |set, key| {
            let at = find(set, key)?;
            Some(self.visit_slot(&mut set[at], now, visit))
        })
    }

    /// Bytes of all entries.
    pub(super) fn bytes(&self) -> usize {
        self.shards.iter().map(|shard| size_of_val(&**shard.lock())).sum()
    }

    fn with_set<T>(&self, key: u64, work: impl FnOnce(&mut Set, [u32; 2]) -> T) -> T {
        let [high, low] = halves(key);
        // The upper half chooses the set and the lower one the shard, so that neither follows the
        // other.
        let mut sets = self.shards[low as usize % SHARDS].lock();
        let index = (u64::from(high) * sets.len() as u64) >> u32::BITS;
        let index = usize::try_from(index).expect("below the count of sets");
        work(&mut sets[index], [high, low.max(1)])
    }

    /// What is worth nothing afterwards makes room at once.
    fn visit_slot<T>(&self, slot: &mut Slot, now: Tick, visit: impl FnOnce(&mut Entry) -> T) -> T {
        let mut entry = Entry::of(slot);
        let seen = visit(&mut entry);
        let keep = (self.worth)(&entry, now) > 0;
        *slot = if keep { entry.packed([slot[0], slot[1]]) } else { Slot::default() };
        seen
    }

    /// The entry that is missed the least. A plain loop, here and in [`find`]: tests bring tens of
    /// millions of keys, and run without optimisation.
    fn least(&self, set: &Set, now: Tick) -> usize {
        let (mut least, mut least_worth, mut least_moment) = (0, u32::MAX, 0);
        let mut at = 0;
        while at < WAYS {
            let slot = &set[at];
            if slot[1] == 0 {
                return at;
            }
            let entry = Entry::of(slot);
            let (last, mark) = (entry.last.raw(), entry.mark.raw());
            let (worth, moment) =
                ((self.worth)(&entry, now), if last > mark { last } else { mark });
            if worth < least_worth || worth == least_worth && moment < least_moment {
                (least, least_worth, least_moment) = (at, worth, moment);
            }
            at += 1;
        }
        least
    }
}

fn find(set: &Set, [high, low]: [u32; 2]) -> Option<usize> {
    let mut at = 0;
    while at < WAYS {
        let slot = &set[at];
        if slot[1] == low && slot[0] == high {
            return Some(at);
        }
        at += 1;
    }
    None
}

fn halves(key: u64) -> [u32; 2] {
    let [a, b, c, d, e, f, g, h] = key.to_be_bytes();
    [u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([e, f, g, h])]
}

impl Entry {
    fn of(&[_, _, last, mark, level, _]: &Slot) -> Self {
        Self { last: Tick::from_raw(last), mark: Tick::from_raw(mark), level }
    }

    fn packed(self, [high, low]: [u32; 2]) -> Slot {
        [high, low, self.last.raw(), self.mark.raw(), self.level, 0]
    }
}

// What SETTINGS.md says of the bytes of an entry.
const _: () = assert!(size_of::<Slot>() == 24);
const _: () = assert!(SHARDS.is_power_of_two());

#[cfg(test)]
mod tests {
    use super::*;

    fn level(entry: &Entry, _: Tick) -> u32 {
        entry.level
    }

    /// A table of one set for each shard; keys that share a shard share the set.
    fn small() -> Table {
        Table::new(1, level)
    }

    const SHARD: u64 = SHARDS as u64;

    fn put(table: &Table, key: u64, level: u32, last: u32) {
        table.visit(key, Tick::from_raw(last), |entry| {
            entry.level = level;
            entry.last = Tick::from_raw(last);
        });
    }

    fn get(table: &Table, key: u64) -> Option<u32> {
        table.visit_known(key, Tick::default(), |entry| entry.level)
    }

    #[test]
    fn what_was_put_is_found_until_it_is_worth_nothing() {
        let table = small();
        assert_eq!(get(&table, 5), None);
        put(&table, 5, 3, 1);
        put(&table, 0, 4, 1);
        assert_eq!((get(&table, 5), get(&table, 6), get(&table, 0)), (Some(3), None, Some(4)));
        put(&table, 5, 0, 1);
        assert_eq!(get(&table, 5), None);
    }

    /// Fills a set with these entries, in order of keys from 1, brings one more, and says who went.
    fn check_gone(entries: [(u32, u32); WAYS], expected: usize) {
        let table = small();
        for (key, (level, last)) in (1..).zip(entries) {
            put(&table, key * SHARD, level, last);
        }
        put(&table, 100 * SHARD, 1, 50);
        let gone: Vec<u64> = (1..=8).filter(|key| get(&table, key * SHARD).is_none()).collect();
        assert_eq!(gone, [expected as u64]);
        assert_eq!(get(&table, 100 * SHARD), Some(1));
    }

    #[test]
    fn the_least_goes_and_the_oldest_of_equals() {
        check_gone([(9, 1), (8, 2), (7, 3), (2, 9), (5, 5), (4, 6), (3, 7), (6, 8)], 4);
        check_gone([(9, 1), (1, 9), (1, 8), (1, 3), (1, 5), (1, 6), (1, 7), (9, 8)], 4);
        check_gone([(1, 1); WAYS], 1);
    }

    #[test]
    fn memory_is_what_was_asked_for() {
        let check = |bytes: u64| {
            let taken = Table::new(bytes, level).bytes() as u64;
            assert!(taken <= bytes && taken > bytes * 9 / 10, "{taken} of {bytes}");
        };
        check(1 << 20);
        check(10_000_000);
    }
}
