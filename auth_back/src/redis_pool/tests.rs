//! Against a real server that goes away and comes back.

use std::net::TcpListener;

use super::limits::{IO_TIMEOUT, REST};
use super::testing::Redis;
use super::*;

fn patient() -> Instant {
    clock::now() + Duration::from_secs(60)
}

fn ping(pool: &RedisPool) -> Result<(), Away> {
    pool.run(patient(), |connection| connection.ask(&::redis::cmd("PING")).map(drop))
}

/// Asks until it is answered, which takes as long as a rest.
fn until_up(pool: &RedisPool) {
    let give_up = patient();
    while ping(pool).is_err() {
        assert!(clock::now() < give_up, "Redis does not come back");
        std::thread::sleep(REST / 20);
    }
}

#[test]
fn a_server_that_was_away_is_used_again_and_known_for_another() {
    let redis = Redis::start();
    let pool = RedisPool::new(redis.url(), 3).unwrap();
    let instance = || pool.run(patient(), |connection| Ok(connection.instance().clone())).unwrap();
    let first = instance();
    assert_eq!(instance(), first);
    assert!(pool.is_up());

    redis.kill();
    assert!(matches!(ping(&pool), Err(Away::Failed(_))));
    assert!(matches!(ping(&pool), Err(Away::Resting)), "the failure is remembered");
    assert!(!pool.is_up());

    redis.start_again();
    until_up(&pool);
    assert!(pool.is_up());
    assert_ne!(instance(), first);
}

#[test]
fn one_failure_costs_one_failure_however_many_connections_there_are() {
    let redis = Redis::start();
    let pool = RedisPool::new(redis.url(), 3).unwrap();
    pool.run(patient(), |_| {
        pool.run(patient(), |_| {
            ping(&pool).unwrap();
            Ok(())
        })
        .unwrap();
        Ok(())
    })
    .unwrap();
    assert_eq!(pool.stats().connected, 3);
    redis.kill();
    redis.start_again();
    assert!(matches!(ping(&pool), Err(Away::Failed(_))));
    until_up(&pool);
    for _ in 0..3 {
        ping(&pool).expect("no broken connection is left");
    }
}

#[test]
fn a_silent_server_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let pool = RedisPool::new(format!("redis://127.0.0.1:{port}").parse().unwrap(), 1).unwrap();
    let started = clock::now();
    assert!(matches!(ping(&pool), Err(Away::Connect(_))));
    assert!(clock::since(started) >= IO_TIMEOUT, "gave up early");
    assert!(matches!(ping(&pool), Err(Away::Resting)));
}

#[test]
fn a_passed_deadline_sends_nothing() {
    let redis = Redis::start();
    let pool = RedisPool::new(redis.url(), 1).unwrap();
    assert!(matches!(pool.run(clock::now(), |_| Ok(())), Err(Away::Busy)));
    assert_eq!(pool.stats().connected, 0);
    assert!(pool.is_up());
}

#[test]
fn a_server_that_evicts_is_not_used() {
    let redis = Redis::start();
    let set = |name: &str, value: &str| {
        ::redis::cmd("CONFIG").arg("SET").arg(name).arg(value).exec(&mut redis.connect()).unwrap();
    };
    set("maxmemory", "50mb");
    set("maxmemory-policy", "allkeys-lru");
    let pool = RedisPool::new(redis.url(), 1).unwrap();
    let error = ping(&pool).unwrap_err();
    assert!(error.to_string().contains("maxmemory-policy noeviction"), "{error}");
    set("maxmemory-policy", "noeviction");
    until_up(&pool);
}

#[test]
fn the_log_is_told_how_it_is_in_the_end_and_not_of_each_change() {
    let clock = clock::Movable::stopped();
    let log = Log { away: AtomicBool::new(false), lines: TokenBucket::new(LOG_SPARING_INTERVAL) };
    assert_eq!([false, true, true, false].map(|away| log.learns(away)), [false, true, false, true]);
    // An hour in which every other call fails.
    let mut lines = 0;
    for _ in 0..36_000 {
        lines += u64::from(log.learns(true)) + u64::from(log.learns(false));
        clock.advance(Duration::from_millis(100));
    }
    assert!(lines <= 3_600 / LOG_SPARING_INTERVAL.as_secs() + u64::from(LOG_LINES), "{lines}");
    log.learns(true);
    clock.advance(LOG_SPARING_INTERVAL);
    log.learns(false);
    assert!(!log.away.load(Ordering::Relaxed));
}
