//! The rules on virtual time, by random histories too, and the thread that asks the store.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use proptest::prelude::*;
use store::testing::{Fault, Spy, patient};
use tempfile::TempDir;

use super::*;
use crate::limits::{KEPT_AFTER_MIN, TIME_ASK_INTERVAL, TIME_DOUBT_LINE_INTERVAL};

const SECOND: u64 = 1_000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: i64 = 24 * 3_600_000;

/// When the machine was booted.
const BOOT: u64 = 1_700_000_000_000;

/// A clock that is `off_ms` wrong, `boot_ms` after the boot.
fn reading(boot_ms: u64, off_ms: i64) -> Reading {
    Reading { boot_ms, unix_ms: (BOOT + boot_ms).saturating_add_signed(off_ms) }
}

/// One that has been right for two hours, and that time.
fn steady() -> (Keeper, u64) {
    let mut keeper = Keeper::new(reading(0, 0));
    assert_eq!(keeper.note(reading(2 * HOUR, 0)), Change::None);
    (keeper, 2 * HOUR)
}

fn is_doubted(change: Change) -> bool {
    matches!(change, Change::Doubted { .. })
}

fn is_adopted(change: Change) -> bool {
    matches!(change, Change::Adopted { .. })
}

#[test]
fn time_goes_on_between_readings_and_never_back() {
    let mut keeper = Keeper::new(reading(5 * SECOND, 0));
    let mut check = |read: Option<i64>, boot_ms, expected| {
        if let Some(off_ms) = read {
            assert_eq!(keeper.note(reading(boot_ms, off_ms)), Change::None);
        }
        assert_eq!(keeper.now(boot_ms), Now::certain(BOOT + expected), "{boot_ms}");
    };
    check(None, 5 * SECOND, 5 * SECOND);
    check(None, 100 * SECOND, 100 * SECOND);
    check(Some(700), 110 * SECOND, 110 * SECOND + 700);
    // Half a minute back is no jump, and stands still until it has been made up for.
    check(Some(-30_000), 120 * SECOND, 110 * SECOND + 700);
    check(None, 140 * SECOND, 110 * SECOND + 700);
    check(None, 141 * SECOND, 111 * SECOND);
}

#[test]
fn a_minute_is_no_jump_and_a_millisecond_more_is_one() {
    let check = |off_ms: i64, expected: bool| {
        let (mut keeper, boot_ms) = steady();
        assert_eq!(is_doubted(keeper.note(reading(boot_ms, off_ms))), expected, "{off_ms}");
        assert_eq!(keeper.is_doubted(), expected);
    };
    for sign in [1, -1] {
        check(sign * 60_000, false);
        check(sign * 60_001, true);
        check(sign * DAY, true);
    }
}

#[test]
fn many_small_steps_are_a_jump_too() {
    let (mut keeper, mut boot_ms) = steady();
    let mut off_ms = 0;
    while !is_doubted(keeper.note(reading(boot_ms, off_ms))) {
        boot_ms += 10 * SECOND;
        off_ms += 9_000;
        assert!(off_ms < 140_000, "believed");
    }
    // A clock that is slow by a hundredth of a percent is none.
    let (mut keeper, mut boot_ms) = steady();
    for _ in 0..100 * 360 {
        boot_ms += 10 * SECOND;
        let off_ms = -signed_of(boot_ms / 10_000);
        assert_eq!(keeper.note(reading(boot_ms, off_ms)), Change::None);
    }
}

fn signed_of(ms: u64) -> i64 {
    i64::try_from(ms).unwrap()
}

#[test]
fn a_jump_is_believed_after_an_hour_and_not_a_millisecond_earlier() {
    for off_ms in [DAY, -DAY] {
        let (mut keeper, began) = steady();
        let believed_ms = keeper.now(began).ms();
        assert!(is_doubted(keeper.note(reading(began, off_ms))));
        let late = began + HOUR - 1;
        assert!(is_doubted(keeper.note(reading(late, off_ms))));
        assert_eq!(keeper.now(late).ms(), believed_ms + HOUR - 1);
        // The hour is over when a reading says so, and not because there was none.
        assert!(keeper.is_doubted());
        let change = keeper.note(reading(began + HOUR, off_ms));
        assert_eq!(change, Change::Adopted { believed_ms: believed_ms + HOUR });
        let expected = (BOOT + began + HOUR).saturating_add_signed(off_ms);
        assert_eq!(keeper.now(began + HOUR), Now::certain(expected));
        // What is deleted does not come back: that takes another hour.
        assert!(!keeper.is_steady(began + 2 * HOUR - 1));
        assert!(keeper.is_steady(began + 2 * HOUR));
    }
}

#[test]
fn another_jump_begins_another_hour() {
    let (mut keeper, began) = steady();
    assert!(is_doubted(keeper.note(reading(began, DAY))));
    let second = began + HOUR - 1;
    assert!(is_doubted(keeper.note(reading(second, 2 * DAY))));
    assert!(is_doubted(keeper.note(reading(second + HOUR - 1, 2 * DAY))));
    assert!(matches!(keeper.note(reading(second + HOUR, 2 * DAY)), Change::Adopted { .. }));
}

#[test]
fn a_clock_that_is_put_right_ends_the_doubt_at_once() {
    let (mut keeper, began) = steady();
    assert!(is_doubted(keeper.note(reading(began, DAY))));
    assert!(!keeper.is_steady(began + MINUTE));
    assert_eq!(keeper.note(reading(began + MINUTE, 300)), Change::Righted);
    assert!(keeper.is_steady(began + MINUTE));
    assert_eq!(keeper.now(began + MINUTE), Now::certain(BOOT + began + MINUTE + 300));
    assert_eq!(keeper.note(reading(began + 2 * MINUTE, 0)), Change::None);
}

#[test]
fn nothing_is_purged_in_the_hour_after_a_start() {
    let mut keeper = Keeper::new(reading(5 * HOUR, 0));
    assert!(!keeper.is_steady(5 * HOUR));
    assert!(!keeper.is_steady(6 * HOUR - 1));
    assert!(keeper.is_steady(6 * HOUR));
    assert_eq!(keeper.now(6 * HOUR).ms(), BOOT + 6 * HOUR);
}

#[test]
fn there_is_a_line_a_minute_also_for_a_clock_that_flaps() {
    for flaps in [false, true] {
        let (mut keeper, began) = steady();
        let mut lines = 0;
        for step in 0..60 {
            let at = began + step * millis(TIME_ASK_INTERVAL);
            let off_ms = if flaps && step % 2 == 1 { 0 } else { DAY };
            if let Change::Doubted { is_worth_a_line: true, .. } = keeper.note(reading(at, off_ms))
            {
                lines += 1;
            }
        }
        assert_eq!(lines, 60 * TIME_ASK_INTERVAL.as_secs() / TIME_DOUBT_LINE_INTERVAL.as_secs());
    }
}

#[test]
fn what_both_times_decide_alike_is_decided() {
    let check = |ms, doubted_ms, expected| {
        assert_eq!(Now { ms, doubted_ms }.is_before(1_000), expected, "{ms} {doubted_ms:?}");
    };
    check(999, None, Some(true));
    check(1_000, None, Some(false));
    check(999, Some(999), Some(true));
    check(999, Some(1_000), None);
    check(1_000, Some(999), None);
    check(1_000, Some(1_000), Some(false));
    let now = Now { ms: 300, doubted_ms: Some(900) };
    assert_eq!((now.until(1_000), now.until(600)), (Duration::from_millis(100), Duration::ZERO));
}

/// What happens to the clock of the store, each for so many milliseconds.
#[derive(Clone, Copy, Debug)]
enum Spell {
    /// It is right, but for less than a second.
    Right(u64),
    /// It is wrong by so much.
    Wrong(u64, i64),
    /// The store is away.
    Away(u64),
}

/// No clock is wrong for an hour: it would be believed then.
fn spells() -> impl Strategy<Value = Vec<Spell>> {
    let off = prop_oneof![Just(DAY), Just(-DAY), -60 * DAY..60 * DAY];
    let spell = prop_oneof![
        (0..3 * HOUR).prop_map(Spell::Right),
        (0..50 * MINUTE, off).prop_map(|(ms, off)| Spell::Wrong(ms, off)),
        (0..5 * HOUR).prop_map(Spell::Away),
    ];
    prop::collection::vec(spell, 1..30)
}

proptest! {
    /// The first "done when" of clocks: whatever a clock does that is right again within an hour, nobody who is logged in is
    /// told otherwise or deleted, and nobody who is not is let in.
    #[test]
    fn a_clock_that_is_wrong_for_a_while_loses_and_revives_no_session(
        spells in spells(),
        ends in prop::collection::vec(0_u64..100 * HOUR, 20),
        noise in prop::collection::vec(-900_i64..900, 50),
    ) {
        const SLACK: u64 = 2 * SECOND;
        let mut noise = noise.into_iter().cycle();
        let mut keeper = Keeper::new(reading(0, 0));
        let (mut boot_ms, mut told_ms) = (0, 0);
        for spell in spells {
            let (length, off) = match spell {
                Spell::Right(length) => (length, Some(0)),
                Spell::Wrong(length, off) => (length, Some(off)),
                Spell::Away(length) => (length, None),
            };
            let until = boot_ms + length;
            while boot_ms < until {
                if let Some(off) = off {
                    let change = keeper.note(reading(boot_ms, off + noise.next().unwrap()));
                    prop_assert!(!is_adopted(change));
                }
                check(&mut keeper, boot_ms, &mut told_ms, &ends, SLACK)?;
                boot_ms += 10 * SECOND;
            }
            // Each spell is followed by a moment in which the clock is right.
            keeper.note(reading(boot_ms, 0));
            prop_assert!(!keeper.is_doubted());
            check(&mut keeper, boot_ms, &mut told_ms, &ends, SLACK)?;
        }
    }

    /// One that is wrong at a start is believed, and deletes nothing. Once it is right there are two times, and nobody is
    /// told what is not so; after an hour the right one is believed.
    #[test]
    fn a_clock_that_is_wrong_at_a_start_deletes_nothing(
        off in prop_oneof![Just(DAY), Just(-DAY), -60 * DAY..60 * DAY],
        wrong_for in 0..HOUR,
        ends in prop::collection::vec(0_u64..100 * HOUR, 20),
    ) {
        prop_assume!(off.unsigned_abs() > MINUTE);
        let mut keeper = Keeper::new(reading(0, off));
        let mut boot_ms = 0;
        while boot_ms < wrong_for {
            keeper.note(reading(boot_ms, off));
            check_purge(&mut keeper, boot_ms, &ends)?;
            boot_ms += 10 * SECOND;
        }
        let (right_at, mut told_ms) = (boot_ms, 0);
        while boot_ms < right_at + 4 * HOUR {
            if is_adopted(keeper.note(reading(boot_ms, 0))) {
                prop_assert_eq!(boot_ms, right_at + HOUR);
                told_ms = 0;
            }
            check(&mut keeper, boot_ms, &mut told_ms, &ends, 0)?;
            boot_ms += 10 * SECOND;
        }
        prop_assert!(keeper.is_steady(boot_ms));
    }

    /// Whatever a clock does, for however long: time does not go back but where a new clock is believed, and that takes an
    /// hour in which no reading has agreed with the old one.
    #[test]
    fn time_never_goes_back_before_a_clock_is_believed(
        steps in prop::collection::vec((1_u64..20 * MINUTE, prop_oneof![
            4 => Just(0), 2 => -70_000_i64..70_000, 1 => Just(DAY), 1 => Just(-DAY), 1 => -3 * DAY..3 * DAY
        ]), 1..200),
    ) {
        let mut keeper = Keeper::new(reading(0, 0));
        let (mut boot_ms, mut off_ms, mut agreed_at, mut told_ms) = (0, 0, 0, 0);
        for (wait, step) in steps {
            boot_ms += wait;
            off_ms += step;
            let change = keeper.note(reading(boot_ms, off_ms));
            let now = keeper.now(boot_ms);
            match change {
                Change::Adopted { .. } => {
                    prop_assert!(boot_ms - agreed_at >= HOUR);
                    prop_assert_eq!(now, Now::certain(reading(boot_ms, off_ms).unix_ms));
                    agreed_at = boot_ms;
                }
                Change::Doubted { .. } => prop_assert!(told_ms <= now.ms()),
                Change::None | Change::Righted => {
                    prop_assert!(told_ms <= now.ms());
                    agreed_at = boot_ms;
                }
            }
            // Within an hour and a reading: two minutes at most.
            let ahead = now.ms().saturating_sub(told_ms);
            let is_jump = ahead > wait + 2 * MINUTE && told_ms > 0;
            prop_assert!(!is_jump || is_adopted(change), "{}", ahead);
            prop_assert_eq!(keeper.is_doubted(), is_doubted(change));
            prop_assert!(!keeper.is_steady(boot_ms) || !keeper.is_doubted());
            told_ms = now.ms();
        }
    }
}

/// Holds what is said of sessions that end at `ends`, after the boot, against the time that it is.
fn check(
    keeper: &mut Keeper,
    boot_ms: u64,
    told_ms: &mut u64,
    ends: &[u64],
    slack: u64,
) -> Result<(), TestCaseError> {
    let now = keeper.now(boot_ms);
    prop_assert!(*told_ms <= now.ms(), "back");
    *told_ms = now.ms();
    check_purge(keeper, boot_ms, ends)?;
    for end in ends {
        let ends_at = BOOT + end;
        if boot_ms + slack < *end {
            prop_assert_ne!(now.is_before(ends_at), Some(false), "lost");
        } else if boot_ms > end + slack {
            prop_assert_ne!(now.is_before(ends_at), Some(true), "revived");
        }
    }
    Ok(())
}

/// Nothing is deleted that has not ended, whatever is said of it.
fn check_purge(keeper: &mut Keeper, boot_ms: u64, ends: &[u64]) -> Result<(), TestCaseError> {
    if keeper.is_steady(boot_ms) {
        let by = keeper.now(boot_ms).ms() - millis(KEPT_AFTER_MIN);
        let deleted = ends.iter().filter(|end| BOOT + **end <= by);
        for end in deleted {
            prop_assert!(*end <= boot_ms, "deleted");
        }
    }
    Ok(())
}

/// A store, and the time that it has.
struct Fixture {
    store: Arc<Spy>,
    time: Arc<ServerTime>,
    _directory: TempDir,
}

impl Fixture {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = Arc::new(Spy::in_directory(directory.path()));
        let time = Arc::new(ServerTime::ask_first(&*store, patient()).unwrap());
        Self { store, time, _directory: directory }
    }
}

fn ask(fixture: &Fixture) {
    fixture.time.ask(&*fixture.store, patient()).unwrap();
}

fn long(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

#[test]
fn time_goes_on_while_the_store_is_away_and_while_the_machine_sleeps() {
    let clock = clock::Movable::stopped();
    let fixture = Fixture::new();
    let time = &fixture.time;
    let began = time.now().ms();
    fixture.store.set_fault(Some(Fault::Unavailable));
    clock.advance(long(HOUR));
    assert!(time.ask(&*fixture.store, patient()).is_err());
    assert_eq!(time.now(), Now::certain(began + HOUR));
    clock.sleep(long(HOUR));
    assert_eq!(time.now(), Now::certain(began + 2 * HOUR));
    fixture.store.set_fault(None);
    ask(&fixture);
    assert_eq!(time.now(), Now::certain(began + 2 * HOUR));
    assert!(!time.is_doubted(), "to sleep is no jump");
}

#[test]
fn how_far_the_wall_clock_is_off_is_known() {
    let clock = clock::Movable::stopped();
    let fixture = Fixture::new();
    let time = &fixture.time;
    let offset = |ahead_ms| {
        time.note_wall(ahead_ms);
        time.wall_ahead_seconds()
    };
    assert_eq!(time.wall_ahead_seconds().abs(), 0.0);
    assert_eq!((offset(1_500), offset(-86_400_000)), (1.5, -86_400.0));
    drop(clock);
}

#[test]
fn the_store_is_asked_on_and_on_whatever_it_answers() {
    let fixture = Fixture::new();
    let time = Arc::clone(&fixture.time);
    let timekeeper = Timekeeper::start(time, Arc::clone(&fixture.store) as _, long(1)).unwrap();
    for fault in [Some(Fault::Panic), Some(Fault::Unavailable), None] {
        fixture.store.set_fault(fault);
        let (before, give_up) = (fixture.store.time_asked(), patient());
        while fixture.store.time_asked() < before + 3 {
            assert!(clock::now() < give_up, "the store is not asked any more");
            thread::yield_now();
        }
    }
    assert!(timekeeper.end_by(patient()));
}
