use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use lane::{Admission, Wake};
use subtle::ConstantTimeEq as _;

use super::*;
use crate::testing::{Text, hash_seconds};
use crate::{HashEngine, Tag};

fn patient() -> Instant {
    clock::now() + Duration::from_secs(60)
}

fn params() -> Params {
    Params::in_record(64, 1, 1).unwrap()
}

/// One thread, and its arena.
fn hashers() -> (Hashers, Pool<ArenaManager>) {
    hashers_with(1)
}

/// One thread, and its arenas.
fn hashers_with(arenas: usize) -> (Hashers, Pool<ArenaManager>) {
    let config = pool::Config::new(arenas).unwrap().without_liveness_check();
    let arenas = Pool::new(ArenaManager::new(HashEngine::Simd, params()), config);
    let (threads, callers) = (NonZeroUsize::MIN, NonZeroUsize::new(8).unwrap());
    let admission = Admission::new(Duration::from_secs(1), threads);
    let options = HashersOptions {
        arenas: arenas.clone(),
        annex: Annex::new(HashEngine::Simd),
        threads,
        callers,
        pace: Arc::new(HashPace::new(threads, admission, hash_seconds())),
    };
    (Hashers::start(options).unwrap(), arenas)
}

fn unknown<T>(work: impl FnOnce(&mut Arena) -> T + Send + 'static) -> Work<T> {
    Work::Unknown(Box::new(work))
}

fn usual<T>(after: impl FnOnce(HashOutcome) -> T + Send + 'static) -> Work<T> {
    of("correct horse", params(), after)
}

fn of<T>(
    password: &str,
    params: Params,
    after: impl FnOnce(HashOutcome) -> T + Send + 'static,
) -> Work<T> {
    let password = Arc::new(Text::of(password));
    Work::Usual { password, salt: Salt([7; 16]), params, after: Box::new(after) }
}

fn hash_a_password(arena: &mut Arena) {
    let password = Text::of("correct horse");
    arena.hash(&password, &Salt([7; 16]), params()).unwrap();
}

#[test]
fn an_arena_is_clean_unless_a_hash_waits() {
    let (hashers, arenas) = hashers();
    let (begun, begins) = mpsc::channel();
    let (go, goes) = mpsc::channel();
    thread::scope(|scope| {
        let first = scope.spawn(|| {
            let work = unknown(move |arena| {
                let was_clean = arena.is_wiped();
                hash_a_password(arena);
                begun.send(()).unwrap();
                goes.recv().unwrap();
                (was_clean, !arena.is_wiped())
            });
            hashers.run(Flow::ONE, patient(), work)
        });
        begins.recv().unwrap();
        let second = scope.spawn(|| {
            let work = unknown(|arena| {
                let was_clean = arena.is_wiped();
                hash_a_password(arena);
                was_clean
            });
            hashers.run(Flow::ONE, patient(), work)
        });
        while hashers.stats()[0].snapshot().queued == 0 {
            thread::yield_now();
        }
        go.send(()).unwrap();
        let (was_clean, leaves_traces) = first.join().unwrap().unwrap();
        assert!(was_clean);
        // What the first has left is still there when the second begins.
        assert_eq!(second.join().unwrap().unwrap(), !leaves_traces);
    });
    // It comes back when the thread has nothing more to do.
    assert!(arenas.acquire(patient()).unwrap().is_wiped());
    assert_eq!(hashers.begun(), 2);
}

#[test]
fn a_hash_that_comes_too_late_is_not_begun() {
    let (hashers, arenas) = hashers();
    let check = |deadline| {
        let outcome = hashers.run(Flow::ONE, deadline, unknown(|_| ()));
        assert!(matches!(outcome, Err(NotHashed::TimedOut)), "{outcome:?}");
    };
    check(clock::now());
    let only_one = arenas.acquire(patient()).unwrap();
    check(clock::now() + Duration::from_millis(20));
    drop(only_one);
    assert_eq!(hashers.begun(), 0);
    hashers.run(Flow::ONE, patient(), unknown(hash_a_password)).unwrap();
}

#[test]
fn a_panic_is_told_and_costs_its_hash_only() {
    let (hashers, arenas) = hashers();
    for _ in 0..3 {
        let work = unknown(|arena| {
            hash_a_password(arena);
            panic!("of the test");
        });
        let outcome: Answer<()> = hashers.run(Flow::ONE, patient(), work);
        assert_eq!(outcome, Err(NotHashed::Dropped));
    }
    assert!(
        hashers.run(Flow::ONE, patient(), unknown(|arena| arena.is_wiped())).unwrap(),
        "another arena"
    );
    assert!(arenas.acquire(patient()).unwrap().is_wiped());
}

#[test]
fn what_nobody_waits_for_is_handed_on_whatever_it_is() {
    let (hashers, _arenas) = hashers();
    let sleeper = Arc::new(Counter::default());
    let check = |deadline, work: fn(&mut Arena), expected: &str| {
        let (told, tells) = mpsc::channel();
        let wakeup = Wakeup::of(Arc::clone(&sleeper) as Arc<dyn Wake>);
        let woken = sleeper.0.load(Ordering::Relaxed);
        hashers.submit(Flow::ONE, deadline, unknown(work), move |outcome| {
            told.send(outcome).unwrap();
            wakeup
        });
        let outcome: Answer<()> = tells.recv_timeout(Duration::from_secs(60)).unwrap();
        assert_eq!(format!("{outcome:?}"), expected);
        while sleeper.0.load(Ordering::Relaxed) == woken {
            thread::yield_now();
        }
        assert!(hashers.is_free(), "it is not wanted any more");
    };
    check(patient(), hash_a_password, "Ok(())");
    check(clock::now(), hash_a_password, "Err(TimedOut)");
    check(patient(), |_| panic!("of the test"), "Err(Dropped)");
    check(patient(), hash_a_password, "Ok(())");
}

/// Counts how often it is woken.
#[derive(Default)]
struct Counter(AtomicUsize);

impl Wake for Counter {
    fn wake(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// A task of a random row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Usual,
    /// Its time is over when the thread comes to it.
    Late,
    Unknown,
    Panicking,
    Dear,
}

const KINDS: [Kind; 5] = [Kind::Usual, Kind::Late, Kind::Unknown, Kind::Panicking, Kind::Dear];

/// Has a row of tasks wait for the only thread, which then comes to all of them. Whoever waits for one of them is woken,
/// whatever those before and behind it are.
fn check_wakeups(row: &[Kind], arenas: usize) {
    let clock = clock::Movable::stopped();
    let (hashers, _arenas) = hashers_with(arenas);
    let (begun, begins) = mpsc::channel();
    let (go, goes) = mpsc::channel();
    let sleeper = Arc::new(Counter::default());
    let submit = |deadline, work: Work<()>| {
        let wakeup = Wakeup::of(Arc::clone(&sleeper) as Arc<dyn Wake>);
        hashers.submit(Flow::ONE, deadline, work, move |_| wakeup);
    };
    submit(
        patient(),
        usual(move |_| {
            begun.send(()).unwrap();
            goes.recv().unwrap();
        }),
    );
    begins.recv().unwrap();
    let soon = clock::now() + Duration::from_millis(1);
    for kind in row {
        let work = match kind {
            Kind::Usual | Kind::Late => usual(|_| ()),
            Kind::Unknown => unknown(|_| ()),
            Kind::Panicking => usual(|_| panic!("of the test")),
            Kind::Dear => Work::Dear { need: Need::Nothing, work: Box::new(|_| ()) },
        };
        submit(if *kind == Kind::Late { soon } else { patient() }, work);
    }
    clock.advance(Duration::from_millis(2));
    go.send(()).unwrap();
    // This thread's clock stands still.
    let (all, waiter) = mpsc::channel();
    let (expected, watched) = (1 + row.len(), Arc::clone(&sleeper));
    thread::spawn(move || {
        while watched.0.load(Ordering::Relaxed) < expected && Arc::strong_count(&watched) > 1 {
            thread::yield_now();
        }
        let _ = all.send(());
    });
    let woken = waiter.recv_timeout(Duration::from_secs(20));
    assert!(woken.is_ok(), "somebody is not woken: {row:?}");
    assert_eq!(sleeper.0.load(Ordering::Relaxed), 1 + row.len(), "each once: {row:?}");
}

#[test]
fn nobody_waits_for_a_wakeup_that_is_held_back() {
    use Kind::{Late, Panicking, Usual};
    check_wakeups(&[Usual, Late, Late, Late], 2);
    check_wakeups(&[Usual, Late, Late], 1);
    check_wakeups(&[Late, Late, Late], 1);
    check_wakeups(&[Usual, Usual, Panicking, Late], 2);
}

#[test]
fn whatever_waits_behind_it_everybody_is_woken() {
    for seed in 0..300_u64 {
        let mut chance = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut below = |bound: u64| {
            // An LCG (Knuth, The Art of Computer Programming, volume 2, section 3.3.4).
            chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            usize::try_from((chance >> 33) % bound).unwrap()
        };
        let row: Vec<_> = (0..=below(7)).map(|_| KINDS[below(5)]).collect();
        check_wakeups(&row, 1 + below(2));
    }
}

#[test]
fn dear_hashes_have_few_places_and_leave_the_others_alone() {
    let (hashers, _arenas) = hashers();
    let (begun, begins) = mpsc::channel();
    let (go, goes) = mpsc::channel::<()>();
    let (told, tells) = mpsc::channel();
    let dear = |work: Box<UnknownWork<()>>| Work::Dear { need: Need::Nothing, work };
    let submit = |number: usize, work| {
        let told = told.clone();
        hashers.submit(Flow::ONE, patient(), dear(work), move |outcome: Answer<()>| {
            told.send((number, outcome.map_err(|error| error.to_string()))).unwrap();
            Wakeup::of(Arc::new(Counter::default()))
        });
    };
    submit(
        0,
        Box::new(move |_| {
            begun.send(()).unwrap();
            goes.recv().unwrap();
        }),
    );
    begins.recv().unwrap();
    let most = DEAR_HASHES_QUEUED_MAX.get();
    (1..=most + 1).for_each(|number| submit(number, Box::new(|_| ())));
    let (refused, why) = tells.recv_timeout(Duration::from_secs(20)).unwrap();
    let retry_after = Duration::ZERO;
    let overloaded = NotHashed::Overloaded { retry_after }.to_string();
    assert_eq!((refused, why), (most + 1, Err(overloaded)));
    // Usual ones do not wait for it.
    hashers.run(Flow::ONE, patient(), usual(|tag| assert!(tag.is_ok()))).unwrap();
    go.send(()).unwrap();
    let mut done: Vec<_> = (0..=most).map(|_| tells.recv().unwrap()).collect();
    done.sort_unstable();
    assert!(done.into_iter().eq((0..=most).map(|number| (number, Ok(())))));
}

/// Has the only thread of `hashers` busy until these wait for it, in this order, and gives what they come to.
fn in_a_row<T: Send + 'static>(hashers: &Hashers, works: Vec<Work<T>>) -> Vec<Answer<T>> {
    let works = works.into_iter().map(|work| (patient(), work)).collect();
    in_a_row_from(clock::now(), hashers, works)
}

/// The same, each with its deadline, and the thread goes on no sooner than then.
fn in_a_row_from<T: Send + 'static>(
    then: Instant,
    hashers: &Hashers,
    works: Vec<(Instant, Work<T>)>,
) -> Vec<Answer<T>> {
    let (begun, begins) = mpsc::channel();
    let (go, goes) = mpsc::channel();
    thread::scope(|scope| {
        scope.spawn(move || {
            let work = unknown(move |_| {
                begun.send(()).unwrap();
                goes.recv().unwrap();
            });
            hashers.run(Flow::ONE, patient(), work).unwrap();
        });
        begins.recv().unwrap();
        let mut threads = Vec::new();
        for (before, (deadline, work)) in works.into_iter().enumerate() {
            threads.push(scope.spawn(move || hashers.run(Flow::ONE, deadline, work)));
            while hashers.stats()[0].snapshot().queued <= before as u64 {
                thread::yield_now();
            }
        }
        thread::sleep(then.saturating_duration_since(clock::now()));
        go.send(()).unwrap();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

fn expected(password: &str, params: Params) -> Tag {
    let mut arena = Arena::new(HashEngine::Reference, params).unwrap();
    arena.hash(&Text::of(password), &Salt([7; 16]), params).unwrap()
}

/// Hashes so, with two arenas; so many of them are to be computed together.
#[track_caller]
fn check_row(row: &[(&'static str, Params)], together: u64) {
    let (hashers, arenas) = hashers_with(2);
    let works = row.iter().map(|(password, params)| of(password, *params, |tag| tag.unwrap()));
    for (tag, (password, params)) in in_a_row(&hashers, works.collect()).iter().zip(row) {
        let is_right = tag.as_ref().unwrap().ct_eq(&expected(password, *params));
        assert!(bool::from(is_right), "{password} {params}");
    }
    assert_eq!(hashers.together(), together);
    assert_eq!(hashers.begun(), 1 + row.len() as u64);
    let deadline = patient();
    let both = [arenas.acquire(deadline).unwrap(), arenas.acquire(deadline).unwrap()];
    assert!(both.iter().all(|arena| arena.is_wiped()));
}

#[test]
fn two_that_wait_are_hashed_together() {
    let usual = params();
    check_row(&[("ada", usual), ("bob", usual)], 2);
    // The last has nobody to go with.
    check_row(&[("ada", usual), ("bob", usual), ("cyd", usual)], 2);
    check_row(&[("ada", usual), ("bob", usual), ("cyd", usual), ("dan", usual)], 4);
    let other = Params::in_record(32, 2, 1).unwrap();
    check_row(&[("ada", usual), ("bob", other), ("cyd", other), ("dan", usual)], 2);
}

#[test]
fn who_is_too_late_is_hashed_neither_alone_nor_beside() {
    let (hashers, _arenas) = hashers_with(2);
    let soon = clock::now() + Duration::from_millis(20);
    let deadlines = [patient(), soon, soon, patient()];
    let works = deadlines.map(|deadline| (deadline, usual(|tag| tag.is_ok()))).into();
    let outcomes = in_a_row_from(soon, &hashers, works);
    let are_hashed: Vec<_> = outcomes.into_iter().map(|outcome| outcome.is_ok()).collect();
    assert_eq!(are_hashed, [true, false, false, true]);
    // Those who are not keep each other company.
    assert_eq!((hashers.begun(), hashers.together()), (3, 2));
}

#[test]
fn what_is_not_usual_is_hashed_alone() {
    let (hashers, _arenas) = hashers_with(2);
    let works = vec![
        usual(|tag| tag.is_ok()),
        unknown(|_| true),
        unknown(|_| true),
        usual(|tag| tag.is_ok()),
    ];
    assert!(in_a_row(&hashers, works).into_iter().all(|outcome| outcome.unwrap()));
    assert_eq!(hashers.together(), 0);
    assert_eq!(hashers.begun(), 5);
}

#[test]
fn one_arena_for_each_thread_is_for_one_hash() {
    let (hashers, _arenas) = hashers();
    let works = vec![usual(|tag| tag.is_ok()), usual(|tag| tag.is_ok())];
    assert!(in_a_row(&hashers, works).into_iter().all(|outcome| outcome.unwrap()));
    assert_eq!(hashers.together(), 0);
}

/// A thread that is always busy leaves no arena with what a hash has left for longer than the next two take.
#[test]
fn arenas_take_turns() {
    let (hashers, _arenas) = hashers_with(2);
    let works = (0..4).map(|_| {
        unknown(|arena| {
            let was_clean = arena.is_wiped();
            hash_a_password(arena);
            (was_clean, arena.is_wiped())
        })
    });
    let outcomes = in_a_row(&hashers, works.collect());
    let (were_clean, are_clean): (Vec<_>, Vec<_>) =
        outcomes.into_iter().map(Result::unwrap).unzip();
    assert_eq!(were_clean, [true, true, are_clean[0], are_clean[1]]);
}

#[test]
fn a_panic_takes_with_it_only_what_is_hashed_together() {
    let (hashers, arenas) = hashers_with(2);
    let works = vec![
        usual(|_| -> bool { panic!("of the test") }),
        usual(|tag| tag.is_ok()),
        usual(|tag| tag.is_ok()),
    ];
    let outcomes = in_a_row(&hashers, works);
    let told: Vec<_> = outcomes.into_iter().map(|outcome| outcome.is_ok()).collect();
    assert_eq!(told, [false, false, true]);
    let deadline = patient();
    let both = [arenas.acquire(deadline).unwrap(), arenas.acquire(deadline).unwrap()];
    assert!(both.iter().all(|arena| arena.is_wiped()));
}

#[test]
fn a_panic_leaves_nobody_waiting_who_was_to_be_called_with_it() {
    let (hashers, _arenas) = hashers();
    let hashers = Arc::new(hashers);
    let (begun, begins) = mpsc::channel();
    let (go, goes) = mpsc::channel::<()>();
    let (done, ends) = mpsc::channel();
    // Not scoped threads: this is to fail, not to wait for ever.
    let [first, second, third] = [(); 3].map(|()| Arc::clone(&hashers));
    thread::spawn(move || {
        let work = usual(move |_| {
            begun.send(()).unwrap();
            goes.recv().unwrap();
        });
        let outcome = first.run(Flow::ONE, patient(), work);
        done.send(outcome.is_ok()).unwrap();
    });
    begins.recv().unwrap();
    thread::spawn(move || {
        second.run(Flow::ONE, patient(), usual(|_| -> () { panic!("of the test") }))
    });
    while hashers.stats()[0].snapshot().queued == 0 {
        thread::yield_now();
    }
    // One more, so that the first need not be called to bring the next; and it ends after the test.
    let (_hold, held) = mpsc::channel::<()>();
    thread::spawn(move || third.run(Flow::ONE, patient(), usual(move |_| held.recv().is_ok())));
    while hashers.stats()[0].snapshot().queued == 1 {
        thread::yield_now();
    }
    go.send(()).unwrap();
    assert_eq!(ends.recv_timeout(Duration::from_secs(20)), Ok(true));
}
