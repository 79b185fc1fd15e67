//! Known layouts, clocks that misbehave, and threads that compete.

use super::*;
use proptest::prelude::*;
use std::collections::HashSet;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, UNIX_EPOCH};

/// A time, in milliseconds after the epoch.
fn at(ms: u64) -> SystemTime {
    unix_time::system_time(EPOCH_UNIX_MS + ms)
}

fn node(datacenter: u8, machine: u8) -> NodeId {
    NodeId::new(datacenter, machine).unwrap()
}

/// Asks a fresh generator at each of the times; compares the milliseconds and sequence numbers.
#[track_caller]
fn check(times: &[u64], expected: &[(u64, u64)]) {
    let snowflakes = Snowflakes::new(node(0, 0));
    let found: Vec<_> = times
        .iter()
        .map(|ms| {
            let id = snowflakes.next(at(*ms)).unwrap();
            (id.unix_ms() - EPOCH_UNIX_MS, id.get() & SEQUENCE_MASK)
        })
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn layout() {
    for (ms, (datacenter, machine), sequence, expected) in [
        // 1 << 22, 1 << 17, 1 << 12, 1
        (1, (1, 1), 1, 4_194_304 + 131_072 + 4_096 + 1),
        (1, (0, 0), 0, 4_194_304),
        (MS_MAX, (31, 31), SEQUENCE_MASK, i64::MAX.cast_unsigned()),
        // 2025-12-03T04:05:06.789Z, computed with Python: ms << 22 | 17 << 17 | 5 << 12 | 42.
        (29_045_106_789, (17, 5), 42, 121_824_007_587_778_602),
    ] {
        let id = Snowflake::pack(ms, node(datacenter, machine), sequence);
        assert_eq!(id.get(), expected);
        assert_eq!(id.unix_ms(), EPOCH_UNIX_MS + ms);
    }
}

#[test]
fn counts_within_a_millisecond() {
    check(&[5, 5, 5, 6, 6, 9], &[(5, 0), (5, 1), (5, 2), (6, 0), (6, 1), (9, 0)]);
}

#[test]
fn goes_on_when_the_clock_steps_back() {
    check(&[5, 4, 1, 5, 6], &[(5, 0), (5, 1), (5, 2), (5, 3), (6, 0)]);
    // Even to before the epoch, once it had been set.
    let snowflakes = Snowflakes::new(node(0, 0));
    let first = snowflakes.next(at(5)).unwrap();
    assert!(snowflakes.next(UNIX_EPOCH).unwrap() > first);
}

#[test]
fn borrows_from_the_next_millisecond() {
    let snowflakes = Snowflakes::new(node(3, 4));
    let ids: Vec<_> = (0..4_097).map(|_| snowflakes.next(at(7)).unwrap()).collect();
    assert_eq!(ids[4_095].get(), 7 << 22 | 3 << 17 | 4 << 12 | 4_095);
    assert_eq!(ids[4_096].get(), 8 << 22 | 3 << 17 | 4 << 12);
    // The clock arrives where numbers were borrowed from.
    assert_eq!(snowflakes.next(at(8)).unwrap().get(), 8 << 22 | 3 << 17 | 4 << 12 | 1);
}

#[test]
fn does_not_run_ahead_without_bound() {
    let snowflakes = Snowflakes::new(node(0, 0));
    snowflakes.next(at(7)).unwrap();
    snowflakes.last.store((7 + AHEAD_MS_MAX) << SEQUENCE_BITS | SEQUENCE_MASK, Relaxed);
    assert_eq!(snowflakes.next(at(7)), Err(SnowflakeError::TooFarAhead));
    assert_eq!(snowflakes.next(at(1)), Err(SnowflakeError::TooFarAhead));
    let next = snowflakes.next(at(8)).unwrap();
    assert_eq!(next.unix_ms(), EPOCH_UNIX_MS + 8 + AHEAD_MS_MAX);
}

#[test]
fn refuses_an_unset_clock() {
    for now in [UNIX_EPOCH, UNIX_EPOCH - Duration::from_secs(1), at(0)] {
        assert_eq!(Snowflakes::new(node(0, 0)).next(now), Err(SnowflakeError::ClockNotSet));
    }
}

#[test]
fn ends_with_its_bits() {
    let snowflakes = Snowflakes::new(node(31, 31));
    let last = snowflakes.next(at(MS_MAX)).unwrap();
    assert!(last.get() <= i64::MAX.cast_unsigned());
    for ms in [MS_MAX + 1, 2 * MS_MAX, 1 << 53] {
        assert_eq!(snowflakes.next(at(ms)), Err(SnowflakeError::EndOfTime));
    }
    snowflakes.last.store(MS_MAX << SEQUENCE_BITS | SEQUENCE_MASK, Relaxed);
    assert_eq!(snowflakes.next(at(MS_MAX)), Err(SnowflakeError::EndOfTime));
}

#[test]
fn nodes() {
    assert!(NodeId::new(31, 31).is_ok());
    assert_eq!(NodeId::new(32, 0), Err(NodeIdError::Datacenter(32)));
    assert_eq!(NodeId::new(0, 32), Err(NodeIdError::Machine(32)));
    let ids: HashSet<_> = (0..32)
        .flat_map(|datacenter| (0..32).map(move |machine| node(datacenter, machine)))
        .map(|node| Snowflakes::new(node).next(at(1)).unwrap())
        .collect();
    assert_eq!(ids.len(), 1024);
}

/// Each thread has a clock of its own that jumps about; no number comes twice, and each thread sees
/// its own rise.
#[test]
fn unique_across_threads() {
    const THREADS: usize = 4;
    const IDS_EACH: u64 = 200_000;
    let snowflakes = &Snowflakes::new(node(1, 2));
    let start = &Barrier::new(THREADS);
    let taken: Vec<Vec<Snowflake>> = thread::scope(|scope| {
        let thread = |number: u64| {
            let time = move |turn: u64| at(100 + (turn * 7 + number * 13) % 5);
            start.wait();
            (0..IDS_EACH).map(|turn| snowflakes.next(time(turn)).unwrap()).collect()
        };
        let threads: Vec<_> = (0..).take(THREADS).map(|n| scope.spawn(move || thread(n))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(taken.iter().all(|ids| ids.is_sorted_by(|a, b| a < b)));
    let mut all: Vec<_> = taken.into_iter().flatten().collect();
    all.sort_unstable();
    assert!(all.is_sorted_by(|a, b| a < b), "a number came twice");
}

proptest! {
    /// Whatever the clock does, numbers rise, and no number is earlier than its clock.
    #[test]
    fn rises_whatever_the_clock_does(times in prop::collection::vec(1u64..50, 1..500)) {
        let snowflakes = Snowflakes::new(node(9, 9));
        let mut last = 0;
        for ms in times {
            let id = snowflakes.next(at(ms)).unwrap();
            prop_assert!(id.get() > last);
            prop_assert!(id.unix_ms() >= EPOCH_UNIX_MS + ms);
            last = id.get();
        }
    }
}

#[test]
fn node_numbers() {
    for (datacenter, machine, number) in [(0, 0, 0), (0, 31, 31), (1, 0, 32), (31, 31, 1023)] {
        let node = node(datacenter, machine);
        assert_eq!(node.number(), number);
        assert_eq!(NodeId::of_number(number), Some(node));
        assert_eq!(node.to_string(), format!("{datacenter}.{machine}"));
    }
    for number in [NodeId::COUNT, u16::MAX] {
        assert_eq!(NodeId::of_number(number), None);
    }
}

#[test]
fn goes_no_further_than_what_is_reserved() {
    let snowflakes = Snowflakes::behind(node(0, 0), EPOCH_UNIX_MS + 10);
    let check = |now, expected: Result<u64, SnowflakeError>| {
        let found = snowflakes.next(at(now)).map(|id| id.unix_ms() - EPOCH_UNIX_MS);
        assert_eq!(found, expected, "at {now}");
    };
    check(5, Err(SnowflakeError::NotReserved));
    snowflakes.reserve(EPOCH_UNIX_MS + 12);
    check(5, Ok(11));
    check(12, Ok(12));
    check(13, Err(SnowflakeError::NotReserved));
    // A clock that was put back takes none from what others may have had.
    check(1, Ok(12));
    snowflakes.reserve(EPOCH_UNIX_MS + 11);
    check(12, Ok(12));
    assert_eq!(snowflakes.latest_unix_ms(), EPOCH_UNIX_MS + 12);
    snowflakes.reserve(EPOCH_UNIX_MS + 13);
    check(13, Ok(13));
    // As many as a millisecond has, and not one of the next.
    for _ in 1..1 << SEQUENCE_BITS {
        check(13, Ok(13));
    }
    check(13, Err(SnowflakeError::NotReserved));
}
