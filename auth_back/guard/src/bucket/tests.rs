//! Sequences of attempts at one entry, by the second.

use std::time::Duration;

use super::*;
use crate::testing::guard_rules;

fn seconds(count: u64) -> Span {
    Span::whole(Duration::from_secs(count))
}

/// So many seconds after the start.
fn at(second: u64) -> Tick {
    Tick::from_raw(1).plus(seconds(second))
}

fn rules() -> Rules {
    let ladder = Ladder { free: 3, first: seconds(1), longest: seconds(60) };
    Rules {
        pair: ladder,
        failures_max: 10,
        known_for: seconds(1000),
        interval: seconds(3600),
        network: ladder,
        leak: seconds(10),
    }
}

const PAIR: Kind = Kind::Pair(Width::Own);
const NETWORK: Kind = Kind::Network(Width::Own);
const STRANGER: Standing = Standing { is_known: false, is_fresh: false };
const FRESH: Standing = Standing { is_known: false, is_fresh: true };
const KNOWN: Standing = Standing { is_known: true, is_fresh: false };

/// The seconds to wait that each attempt is answered with, `None` for one that is let through and
/// fails.
#[track_caller]
fn check<const N: usize>(
    rules: &Rules,
    (kind, standing): (Kind, Standing),
    entry: &mut Entry,
    attempts: [(u64, Option<u64>); N],
) {
    for (second, expected) in attempts {
        let wait = match rules.charge(kind, entry, &mut { standing }, at(second)) {
            Ok(_) => None,
            Err(No::Wait(refusing, span)) => {
                assert_eq!(refusing, kind);
                Some(Duration::from(span).as_secs())
            }
            Err(No::Distrusted) => panic!("distrusted at {second} s"),
        };
        assert_eq!(wait, expected, "at {second} s: {entry:?}");
    }
}

#[test]
fn waits_double_up_to_the_longest() {
    check(
        &rules(),
        (PAIR, STRANGER),
        &mut Entry::default(),
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
    for level in [34, 35, 36, 40, 200, u32::MAX] {
        let mut entry = Entry { level, last: at(0), mark: at(0) };
        check(&rules(), (PAIR, STRANGER), &mut entry, [(0, Some(60)), (60, None)]);
        assert!(entry.level >= level);
    }
}

#[test]
fn a_success_makes_known_until_failures_or_time_have_it_forgotten() {
    let rules = rules();
    let mut entry = Entry { level: 5, last: at(0), mark: Tick::default() };
    assert!(!rules.is_known(&entry, at(10)));
    let charge = rules.charge(PAIR, &mut entry, &mut { STRANGER }, at(100)).unwrap();
    Rules::settle(PAIR, &mut entry, &charge, Outcome::Right);
    assert!(rules.is_known(&entry, at(100)));
    assert!(rules.is_known(&entry, at(1099)));
    assert!(!rules.is_known(&entry, at(1100)));
    entry.level = 9;
    assert!(rules.is_known(&entry, at(100)));
    let mut standing = STRANGER;
    rules.charge(PAIR, &mut entry, &mut standing, at(200)).unwrap();
    assert!(standing.is_known, "and its bucket says so");
    assert_eq!(entry.level, 10);
    assert!(!rules.is_known(&entry, at(200)));
}

#[test]
fn a_network_is_fresh_that_has_not_failed_lately_and_a_wide_one_not_often() {
    let rules = rules();
    let check = |width, level, second, expected| {
        let mut entry = Entry { level, last: at(0), mark: Tick::default() };
        let mut standing = FRESH;
        let _ = rules.charge(Kind::Pair(width), &mut entry, &mut standing, at(second));
        assert_eq!(standing.is_fresh, expected, "{width:?} {level} {second}");
    };
    check(Width::Own, 0, 1, true);
    check(Width::Own, 1, 999, false);
    check(Width::Own, 1, 1000, true);
    check(Width::Home, 3, 1, true);
    check(Width::Home, 4, 1, false);
    check(Width::Site, 15, 1, true);
    check(Width::Site, 16, 999, false);
    check(Width::Site, 1600, 1000, true);
}

#[test]
fn what_is_given_back_was_never_taken() {
    let rules = rules();
    let mut entry = Entry { level: 4, last: at(0), mark: Tick::default() };
    let before = entry;
    let charge = |entry: &mut Entry, second| {
        rules.charge(PAIR, entry, &mut { STRANGER }, at(second)).unwrap()
    };
    let give_back = |entry: &mut Entry, charge: &Charge| {
        Rules::settle(PAIR, entry, charge, Outcome::Nothing);
    };
    let only = charge(&mut entry, 9);
    give_back(&mut entry, &only);
    assert_eq!(entry, before);

    // Another attempt has come in between: its moment stays.
    let first = charge(&mut entry, 9);
    let second = charge(&mut entry, 20);
    give_back(&mut entry, &first);
    assert_eq!(entry, Entry { level: 5, last: at(20), mark: Tick::default() });
    give_back(&mut entry, &second);
    assert_eq!(entry.level, 4);

    // A success has come in between.
    let old = charge(&mut entry, 100);
    let right = charge(&mut entry, 200);
    Rules::settle(PAIR, &mut entry, &right, Outcome::Right);
    give_back(&mut entry, &old);
    assert_eq!(entry, Entry { level: 0, last: at(200), mark: at(200) });
}

#[test]
fn a_place_that_was_held_is_paid_for_by_networks() {
    let rules = rules();
    let check = |kind, expected: u32| {
        let mut entry = Entry { level: 1, last: at(0), mark: at(0) };
        let charge = rules.charge(kind, &mut entry, &mut { STRANGER }, at(1)).unwrap();
        Rules::settle(kind, &mut entry, &charge, Outcome::Held);
        assert_eq!(entry.level, expected, "{kind:?}");
    };
    for kind in [PAIR, Kind::Pair(Width::Site), Kind::Device, Kind::Account] {
        check(kind, 1);
    }
    for width in [Width::Own, Width::Home, Width::Site] {
        check(Kind::Network(width), 2);
        check(Kind::Registrations(width), 2);
    }
}

#[test]
fn strangers_share_a_turn_of_the_slow_lane_of_an_account() {
    let rules = Rules { failures_max: 3, ..rules() };
    let entry = &mut Entry::default();
    let attempts = [(0, None), (1, None), (2, None), (3, Some(3599)), (3601, Some(1))];
    check(&rules, (Kind::Account, STRANGER), entry, attempts);
    // Whoever is known waits for nobody and keeps nobody waiting.
    check(&rules, (Kind::Account, KNOWN), entry, [(3601, None), (3601, None)]);
    let attempts = [(3602, None), (3602, Some(3600)), (7202, None), (7203, Some(3599))];
    check(&rules, (Kind::Account, STRANGER), entry, attempts);
}

#[test]
fn a_fresh_network_has_a_turn_that_others_do_not_take() {
    let rules = Rules { failures_max: 3, ..rules() };
    let (stranger, fresh) = ((Kind::Account, STRANGER), (Kind::Account, FRESH));
    let entry = &mut Entry::default();
    check(&rules, stranger, entry, [(0, None), (1, None), (2, None)]);
    // Not before the hour is over; then whatever the others do.
    check(&rules, fresh, entry, [(3, Some(3599))]);
    check(&rules, stranger, entry, [(3602, None), (7202, None), (10_802, None)]);
    check(&rules, fresh, entry, [(10_900, None), (10_900, Some(3502))]);
    // Nor do they wait for it; and who is fresh takes theirs when it is free first.
    check(&rules, stranger, entry, [(14_402, None)]);
    check(&rules, fresh, entry, [(14_403, Some(97)), (14_500, None)]);
    check(&rules, fresh, entry, [(18_002, None), (18_002, Some(98))]);
    check(&rules, stranger, entry, [(18_002, Some(3600))]);

    // What comes to nothing gives the turn back, and not that of others.
    let mut entry = Entry { level: 3, last: at(0), mark: at(0) };
    for (standing, other) in [(FRESH, STRANGER), (STRANGER, FRESH)] {
        let before = entry;
        let charge = rules.charge(Kind::Account, &mut entry, &mut { standing }, at(4000)).unwrap();
        let between = entry;
        Rules::settle(Kind::Account, &mut entry, &charge, Outcome::Nothing);
        assert_eq!(entry, before);
        entry = between;
        rules.charge(Kind::Account, &mut entry, &mut { other }, at(4000)).unwrap();
        Rules::settle(Kind::Account, &mut entry, &charge, Outcome::Nothing);
        assert_eq!((entry.last, entry.mark), (at(4000), at(4000)));
        entry = before;
    }
}

#[test]
fn a_network_has_a_burst_and_a_rate_and_waits_ever_longer_over_them() {
    let (rules, entry) = (rules(), &mut Entry::default());
    let network = (NETWORK, STRANGER);
    check(&rules, network, entry, [(0, None), (0, None), (0, None), (0, Some(1))]);
    // Two have leaked after 20 s.
    let attempts = [(20, None), (20, None), (20, Some(1)), (21, None), (21, Some(2))];
    check(&rules, network, entry, attempts);
    check(&rules, network, entry, [(23, None), (27, None), (35, None), (35, Some(16)), (51, None)]);
    // Five over the burst go in five minutes, the burst in half a minute, and it is as good as new.
    check(&rules, network, entry, [(400, None), (400, None), (400, None), (400, Some(1))]);
    assert_eq!(entry.level, 3);
}

#[test]
fn a_wider_network_has_more_of_all() {
    let rules = rules();
    // Free at once, free again after 20 s, and when it waits: the longest, in milliseconds.
    let check = |width: Width, free: usize, leaked: usize, longest: u64| {
        let (kind, mut entry) = (Kind::Network(width), Entry::default());
        let mut burst = |second| {
            (0..1000)
                .take_while(|_| {
                    rules.charge(kind, &mut entry, &mut { STRANGER }, at(second)).is_ok()
                })
                .count()
        };
        assert_eq!(burst(0), free, "{width:?}");
        assert_eq!(burst(20), leaked, "{width:?}");
        entry.level += 40;
        let Err(No::Wait(_, wait)) = rules.charge(kind, &mut entry, &mut { STRANGER }, at(20))
        else {
            panic!("it does not wait");
        };
        assert_eq!(wait, Span::whole(Duration::from_millis(longest)));
    };
    check(Width::Own, 3, 2, 60_000);
    check(Width::Home, 12, 8, 15_000);
    check(Width::Site, 48, 32, 3_700);
}

#[test]
fn who_goes_on_failing_is_left_one_attempt_in_the_longest_wait() {
    let rules = rules();
    let mut entry = Entry::default();
    let day = 24 * 3600;
    let through = (0..day)
        .filter(|&second| rules.charge(NETWORK, &mut entry, &mut { STRANGER }, at(second)).is_ok());
    // One in the longest wait, and one more for each that leaks meanwhile.
    let through = through.count();
    assert!((1440..=1440 * 3).contains(&through), "{through}");
}

#[test]
fn what_is_dear_counts_more_up_to_twice_the_burst() {
    let rules = Rules::of(guard_rules().numbers());
    let check = |cost, expected| assert_eq!(rules.charge_of(cost), expected, "{cost}");
    check(1, 0);
    check(2, 1);
    check(50, 49);
    check(51, 49);
    check(u32::MAX, 49);
    // A burst of ten: five.
    let few = Rules::of(GuardNumbers { network_per_minute: 1, ..guard_rules().numbers() });
    assert_eq!(few.charge_of(100), 4);

    let mut entry = Entry { level: 98, last: at(0), mark: at(0) };
    let mut charge = rules.charge(NETWORK, &mut entry, &mut { STRANGER }, at(1)).unwrap();
    for (width, expected) in
        [(Width::Own, 49), (Width::Own, 49), (Width::Own, 3), (Width::Own, 0), (Width::Site, 49)]
    {
        let added = rules.charge_more(width, &mut entry, 49);
        assert_eq!(added, expected);
        charge.add(added);
    }
    assert_eq!(entry.level, 200 + 49);
    Rules::settle(NETWORK, &mut entry, &charge, Outcome::Right);
    assert_eq!((entry.level, entry.last), (98, at(0)));
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
    // An account whose turn of fresh networks was taken lately.
    check(entry(40, at(40 * day)), 40, 40);
}
