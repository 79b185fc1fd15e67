//! A storm of logins at full strength: all are answered, nothing else waits for them, and memory
//! stays where it was sized.

use std::{
    sync::Barrier,
    thread::{self, ScopedJoinHandle},
};

use e2e::{System, anonymous_bytes, resident_bytes};

use crate::PASSWORD;

const LOGINS: usize = 64;
/// Fewer than the 20 that may be tried at a time.
const LOGINS_PER_ACCOUNT: usize = 16;
const CHECKS: usize = 64;

/// Work memory of one hash at the default strength, m=19456 KiB.
const ARENA_BYTES: u64 = 19456 * 1024;

/// What auth_back may need beside its arenas.
const OTHER_BYTES_MAX: u64 = 40 * 1024 * 1024;

/// What it may have taken of that before the first request. The limiter's tables are more, and are not
/// touched before somebody guesses.
const OTHER_IDLE_BYTES_MAX: u64 = 12 * 1024 * 1024;

/// Health answers that must arrive while the logins are in work. At a few milliseconds each,
/// hundreds do; if health had to wait for logins, none would.
const HEALTH_ANSWERS_MIN: usize = 20;

#[test]
fn a_storm_of_logins_leaves_everything_else_served() {
    let arenas = 2;
    // On a busy machine hashes take long; that is not to decide the test.
    let mut system = System::builder()
        .default_hashing()
        .auth_flags(&["--hash-threads", &arenas.to_string(), "--hashes-per-thread", "1"])
        .auth_flags(&["--lease", "0ms", "--queue-time-max", "60s"])
        .front_flags(&["--request-timeout", "60s", "--queue-time-max", "60s"])
        .start();
    let user = system.client();
    // Of one account, no more than the limiter lets be tried at a time, however many are in flight.
    let names: Vec<_> =
        (0..LOGINS.div_ceil(LOGINS_PER_ACCOUNT)).map(|n| format!("ada-{n}")).collect();
    for name in &names {
        user.register(name, PASSWORD).assert_status(200);
    }
    let token = user.log_in(&names[0], PASSWORD);
    let ops = [system.front().ops(), system.auth().ops()];
    let auth_pid = system.auth().pid();

    let start = Barrier::new(LOGINS + CHECKS + 1);
    let mut health_answers = 0;
    let mut resident_max = 0;
    thread::scope(|scope| {
        let (start, user) = (&start, &user);
        let log_in = |name| {
            move || {
                start.wait();
                user.authenticate(name, PASSWORD).assert_status(200);
            }
        };
        let names = names.iter().cycle();
        let logins: Vec<_> = names.take(LOGINS).map(|name| scope.spawn(log_in(name))).collect();
        for _ in 0..CHECKS {
            scope.spawn(|| {
                start.wait();
                user.session(&token).assert_status(200);
            });
        }
        start.wait();
        while !logins.iter().all(ScopedJoinHandle::is_finished) {
            for server in &ops {
                server.get("/healthz", None).assert_status(200);
            }
            health_answers += 1;
            resident_max = resident_max.max(resident_bytes(auth_pid));
        }
    });
    assert!(health_answers >= HEALTH_ANSWERS_MIN, "only {health_answers} during the storm");
    let allowed = arenas * ARENA_BYTES + OTHER_BYTES_MAX;
    assert!(resident_max < allowed, "{resident_max} bytes resident, allowed are {allowed}");
}

#[test]
fn all_arenas_are_there_at_start_and_little_else() {
    #[cfg(target_arch = "x86_64")]
    let two_are_faster = is_x86_feature_detected!("avx512f");
    #[cfg(not(target_arch = "x86_64"))]
    let two_are_faster = false;
    for (threads, per_thread) in [(2, 1), (1, 2)] {
        let mut system = System::builder()
            .default_hashing()
            .auth_flags(&["--hash-threads", &threads.to_string()])
            .auth_flags(&["--hashes-per-thread", &per_thread.to_string()])
            .start();
        let taken = anonymous_bytes(system.auth().pid());
        let arenas = threads * if two_are_faster { per_thread } else { 1 };
        let arenas_bytes = arenas * ARENA_BYTES;
        let allowed = arenas_bytes..arenas_bytes + OTHER_IDLE_BYTES_MAX;
        assert!(allowed.contains(&taken), "{taken} bytes taken, allowed are {allowed:?}");
    }
}

#[test]
fn what_does_not_fit_the_queue_is_refused_at_once_and_nothing_is_done() {
    // Room for one hash in work and one waiting: of a storm, most must be refused.
    let small = ["--heavy-threads", "1", "--heavy-queue", "1", "--heavy-batch", "1"];
    let system = System::builder()
        .default_hashing()
        .front_flags(&small)
        .front_flags(&["--request-timeout", "60s"])
        .start();
    let user = system.client();
    let start = Barrier::new(LOGINS);
    let statuses: Vec<u16> = thread::scope(|scope| {
        let register = |n: usize| {
            let (user, start) = (&user, &start);
            move || {
                start.wait();
                let answer = user.register(&format!("user-{n}"), PASSWORD);
                if answer.status == 503 {
                    assert_eq!(answer.problem_code(), "overloaded");
                    assert!(answer.field("retry-after").is_some(), "{answer:?}");
                }
                answer.status
            }
        };
        let storm: Vec<_> = (0..LOGINS).map(|n| scope.spawn(register(n))).collect();
        storm.into_iter().map(|thread| thread.join().expect("a whole answer")).collect()
    });
    assert!(statuses.iter().all(|status| matches!(status, 200 | 503)), "{statuses:?}");
    assert!(statuses.contains(&503) && statuses.contains(&200), "{statuses:?}");
    // Refused means that nothing was done: the name is still free.
    let refused = statuses.iter().position(|status| *status == 503).expect("one was refused");
    user.register(&format!("user-{refused}"), PASSWORD).assert_status(200);
}
