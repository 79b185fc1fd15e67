use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use super::*;
use crate::credentials::{HashEngine, Params, Password, Salt};

fn patient() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

fn params() -> Params {
    Params::in_record(64, 1, 1).unwrap()
}

/// One thread, and its arena.
fn hashers() -> (Hashers, Pool<ArenaManager>) {
    let config = pool::Config::new(1).unwrap().without_liveness_check();
    let arenas = Pool::new(ArenaManager::new(HashEngine::Simd, params()), config);
    let callers = NonZeroUsize::new(8).unwrap();
    (Hashers::start(arenas.clone(), callers, Niceness::default()).unwrap(), arenas)
}

fn hash_a_password(arena: &mut Arena) {
    let password = Password::for_login("correct horse").unwrap();
    arena.hash(&password, &Salt([7; 16]), params()).unwrap();
}

#[test]
fn an_arena_is_clean_unless_a_hash_waits() {
    let (hashers, arenas) = hashers();
    let (begun, begins) = mpsc::channel();
    let (go, goes) = mpsc::channel();
    thread::scope(|scope| {
        let first = scope.spawn(|| {
            hashers.run(patient(), Length::Usual, move |arena| {
                let was_clean = arena.is_wiped();
                hash_a_password(arena);
                begun.send(()).unwrap();
                goes.recv().unwrap();
                (was_clean, !arena.is_wiped())
            })
        });
        begins.recv().unwrap();
        let second = scope.spawn(|| {
            hashers.run(patient(), Length::Usual, |arena| {
                let was_clean = arena.is_wiped();
                hash_a_password(arena);
                was_clean
            })
        });
        while hashers.stats().snapshot().queued == 0 {
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
        let outcome = hashers.run(deadline, Length::Usual, |_| ());
        assert!(matches!(outcome, Err(AccountError::TimedOut)), "{outcome:?}");
    };
    check(Instant::now());
    let only_one = arenas.acquire(patient()).unwrap();
    check(Instant::now() + Duration::from_millis(20));
    drop(only_one);
    assert_eq!(hashers.begun(), 0);
    hashers.run(patient(), Length::Usual, hash_a_password).unwrap();
}

#[test]
fn a_panic_is_told_and_costs_its_hash_only() {
    let (hashers, arenas) = hashers();
    for _ in 0..3 {
        let outcome = hashers.run(patient(), Length::Usual, |arena| {
            hash_a_password(arena);
            panic!("of the test");
        });
        let outcome: Answer<()> = outcome;
        let dropped = AccountError::Internal(InternalError::Dropped);
        assert_eq!(format!("{outcome:?}"), format!("{:?}", Err::<(), _>(dropped)));
    }
    assert!(
        hashers.run(patient(), Length::Usual, |arena| arena.is_wiped()).unwrap(),
        "another arena"
    );
    assert!(arenas.acquire(patient()).unwrap().is_wiped());
}

#[test]
fn what_nobody_waits_for_is_handed_on_whatever_it_is() {
    let (hashers, _arenas) = hashers();
    let bell = Arc::new(Counter::default());
    let check = |deadline, work: fn(&mut Arena), expected: &str| {
        let (told, tells) = mpsc::channel();
        let call = Call(Arc::clone(&bell) as Arc<dyn Bell>);
        let rung = bell.0.load(Ordering::Relaxed);
        hashers.submit(deadline, Length::Usual, work, move |outcome| {
            told.send(outcome).unwrap();
            call
        });
        let outcome: Answer<()> = tells.recv_timeout(Duration::from_secs(60)).unwrap();
        assert_eq!(format!("{outcome:?}"), expected);
        while bell.0.load(Ordering::Relaxed) == rung {
            thread::yield_now();
        }
        assert!(hashers.is_free(), "it is not wanted any more");
    };
    check(patient(), hash_a_password, "Ok(())");
    check(Instant::now(), hash_a_password, "Err(TimedOut)");
    check(patient(), |_| panic!("of the test"), "Err(Internal(Dropped))");
    check(patient(), hash_a_password, "Ok(())");
}

/// Counts how often it is rung.
#[derive(Default)]
struct Counter(AtomicUsize);

impl Bell for Counter {
    fn ring(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn callers_are_called_together_but_never_wait_for_a_hash_that_may_be_long() {
    const THREADS: u64 = 3;
    let (bell, calls) = (Arc::new(Counter::default()), Calls::among(THREADS));
    let add = |length, next, queued, rung: usize| {
        calls.add(Call(Arc::clone(&bell) as Arc<dyn Bell>), length, next, queued);
        assert_eq!(bell.0.load(Ordering::Relaxed), rung);
    };
    let (usual, unknown) = (Length::Usual, Length::Unknown);
    let enough = HASHES_CALLED_TOGETHER;
    (1..enough).for_each(|_| add(usual, Some(usual), THREADS, 0));
    add(usual, Some(usual), THREADS, enough);
    add(usual, Some(usual), THREADS, enough);
    add(usual, None, 0, enough + 2);
    add(usual, Some(usual), THREADS, enough + 2);
    add(usual, Some(unknown), THREADS, enough + 4);
    // It may hold the annex.
    add(unknown, Some(usual), THREADS, enough + 5);
    add(usual, Some(usual), THREADS, enough + 5);
    // A thread would soon have nothing to do.
    add(usual, Some(usual), THREADS - 1, enough + 7);
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
        let outcome = first.run(patient(), Length::Usual, move |_| {
            begun.send(()).unwrap();
            goes.recv().unwrap();
        });
        done.send(outcome.is_ok()).unwrap();
    });
    begins.recv().unwrap();
    thread::spawn(move || {
        second.run(patient(), Length::Usual, |_| -> () { panic!("of the test") })
    });
    while hashers.stats().snapshot().queued == 0 {
        thread::yield_now();
    }
    // One more, so that the first need not be called to bring the next; and it ends after the test.
    let (_hold, held) = mpsc::channel::<()>();
    thread::spawn(move || third.run(patient(), Length::Usual, move |_| held.recv().is_ok()));
    while hashers.stats().snapshot().queued == 1 {
        thread::yield_now();
    }
    go.send(()).unwrap();
    assert_eq!(ends.recv_timeout(Duration::from_secs(20)), Ok(true));
}
