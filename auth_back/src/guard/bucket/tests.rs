//! Sequences of attempts at one entry, by the second.

use std::time::Duration;

use super::*;

fn seconds(count: u64) -> Span {
    Span::whole(Duration::from_secs(count))
}

/// So many seconds after the start.
fn at(second: u64) -> Tick {
    Tick::from_raw(1).plus(seconds(second))
}

fn ladder() -> Ladder {
    Ladder { free: 3, first: seconds(1), longest: seconds(60) }
}

fn pair() -> Pair {
    Pair { ladder: ladder(), trust_failures_max: 10, known_for: seconds(1000) }
}

/// The seconds to wait that each attempt is answered with, `None` for one that is let through and
/// fails.
#[track_caller]
fn check<const N: usize>(
    mut charge: impl FnMut(&mut Entry, Tick) -> Result<Charge, Wait>,
    entry: &mut Entry,
    attempts: [(u64, Option<u64>); N],
) {
    for (second, expected) in attempts {
        let wait = charge(entry, at(second)).err().map(|Wait(span)| Duration::from(span).as_secs());
        assert_eq!(wait, expected, "at {second} s: {entry:?}");
    }
}

#[test]
fn waits_double_up_to_the_longest() {
    let entry = &mut Entry::default();
    let pair = pair();
    check(
        |entry, now| pair.charge(entry, now),
        entry,
        [
            (0, None),
            (0, None),
            (0, None),
            (0, Some(1)),
            (1, None),
            (1, Some(2)),
            (2, Some(1)),
            (3, None),
            (3, Some(4)),
            (7, None),
            (15, None),
            (31, None),
            (62, Some(1)),
            (63, None),
            // 64 would be next, and is over the longest.
            (63, Some(60)),
            (123, None),
            (123, Some(60)),
            (1_000_000, None),
            (1_000_000, Some(60)),
        ],
    );
}

#[test]
fn a_level_beyond_counting_still_waits_the_longest() {
    let pair = pair();
    for level in [34, 35, 36, 40, 200, u32::MAX] {
        let mut entry = Entry { level, last: at(0), mark: at(0) };
        check(|entry, now| pair.charge(entry, now), &mut entry, [(0, Some(60)), (60, None)]);
        assert!(entry.level >= level);
    }
}

#[test]
fn a_success_makes_known_until_failures_or_time_have_it_forgotten() {
    let pair = pair();
    let mut entry = Entry { level: 5, last: at(0), mark: Tick::default() };
    assert!(!pair.is_known(&entry, at(10)));
    Pair::succeed(&mut entry, at(10));
    assert!(pair.is_known(&entry, at(10)));
    assert!(pair.is_known(&entry, at(1009)));
    assert!(!pair.is_known(&entry, at(1010)));
    entry.level = 9;
    assert!(pair.is_known(&entry, at(10)));
    entry.level = 10;
    assert!(!pair.is_known(&entry, at(10)));
}

#[test]
fn what_is_given_back_was_never_taken() {
    let pair = pair();
    let mut entry = Entry { level: 4, last: at(0), mark: Tick::default() };
    let before = entry;
    let charge = pair.charge(&mut entry, at(9)).unwrap();
    give_back(&mut entry, charge);
    assert_eq!(entry, before);

    // Another attempt has come in between: its moment stays.
    let first = pair.charge(&mut entry, at(9)).unwrap();
    let second = pair.charge(&mut entry, at(20)).unwrap();
    give_back(&mut entry, first);
    assert_eq!(entry, Entry { level: 5, last: at(20), mark: Tick::default() });
    give_back(&mut entry, second);
    assert_eq!(entry.level, 4);

    // A success has come in between.
    let charge = pair.charge(&mut entry, at(100)).unwrap();
    Pair::succeed(&mut entry, at(101));
    give_back(&mut entry, charge);
    assert_eq!(entry.level, 0);
}

#[test]
fn strangers_share_the_slow_lane_of_an_account() {
    let account = Account { failures_max: 3, interval: seconds(3600) };
    let entry = &mut Entry::default();
    let stranger = |entry: &mut Entry, now| account.charge(entry, false, now);
    check(stranger, entry, [(0, None), (1, None), (2, None), (3, Some(3599)), (3601, Some(1))]);
    // Whoever is known waits for nobody and keeps nobody waiting.
    check(|entry, now| account.charge(entry, true, now), entry, [(3601, None), (3601, None)]);
    check(stranger, entry, [(3602, None), (3602, Some(3600)), (7202, None), (7203, Some(3599))]);
}

#[test]
fn a_network_has_a_burst_and_a_rate_and_waits_ever_longer_over_them() {
    let network = Network { ladder: ladder(), leak: seconds(10) };
    let entry = &mut Entry::default();
    let charge = |entry: &mut Entry, now| network.charge(entry, now);
    check(charge, entry, [(0, None), (0, None), (0, None), (0, Some(1))]);
    // Two have leaked after 20 s.
    check(charge, entry, [(20, None), (20, None), (20, Some(1)), (21, None), (21, Some(2))]);
    check(charge, entry, [(23, None), (27, None), (35, None), (35, Some(16)), (51, None)]);
    // Five over the burst go in five minutes, the burst in half a minute, and it is as good as new.
    check(charge, entry, [(400, None), (400, None), (400, None), (400, Some(1))]);
    assert_eq!(entry.level, 3);
}

#[test]
fn who_goes_on_failing_is_left_one_attempt_in_the_longest_wait() {
    let network = Network { ladder: ladder(), leak: seconds(10) };
    let mut entry = Entry::default();
    let day = 24 * 3600;
    let through = (0..day).filter(|&second| network.charge(&mut entry, at(second)).is_ok()).count();
    // One in the longest wait, and one more for each that leaks meanwhile.
    assert!((1440..=1440 * 3).contains(&through), "{through}");
}

#[test]
fn worth_is_failures_and_fades_by_the_day() {
    let day = 24 * 3600;
    let entry = |level, mark| Entry { level, last: at(0), mark };
    let check = |entry: Entry, day_count: u64, expected: u32| {
        assert_eq!(pair_worth(&entry, at(day * day_count)), expected, "{entry:?}");
    };
    check(Entry::default(), 0, 0);
    check(entry(40, Tick::default()), 0, 40);
    check(entry(40, Tick::default()), 1, 20);
    check(entry(40, Tick::default()), 3, 5);
    check(entry(40, Tick::default()), 100, 1);
    check(entry(0, at(0)), 29, 3);
    check(entry(0, at(0)), 30, 0);
    check(entry(9, at(0)), 0, 9);
    check(entry(1, at(0)), 0, 3);
}
