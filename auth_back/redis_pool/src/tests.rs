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
    let pool = RedisPool::new(redis.url(), 3, Use::Sessions).unwrap();
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
    let pool = RedisPool::new(redis.url(), 3, Use::Sessions).unwrap();
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
    let pool =
        RedisPool::new(format!("redis://127.0.0.1:{port}").parse().unwrap(), 1, Use::Sessions)
            .unwrap();
    let started = clock::now();
    assert!(matches!(ping(&pool), Err(Away::Connect(_))));
    assert!(clock::since(started) >= IO_TIMEOUT, "gave up early");
    assert!(matches!(ping(&pool), Err(Away::Resting)));
}

#[test]
fn a_passed_deadline_sends_nothing() {
    let redis = Redis::start();
    let pool = RedisPool::new(redis.url(), 1, Use::Guesses).unwrap();
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
    let pool = RedisPool::new(redis.url(), 1, Use::Guesses).unwrap();
    let error = ping(&pool).unwrap_err();
    assert!(error.to_string().contains("maxmemory-policy noeviction"), "{error}");
    set("maxmemory-policy", "noeviction");
    until_up(&pool);
}

/// What a script may need and the trial does not try would be found missing by a user's request.
#[test]
fn a_trial_tries_every_command_of_the_scripts() {
    #[track_caller]
    fn check(name_of_use: Use, scripts: &[&str]) {
        let tried = name_of_use.trial().script;
        for script in scripts {
            for call in script.split("redis.call(").skip(1) {
                let command = call.split(',').next().unwrap().trim_end_matches([')', ' ', '\n']);
                let command = &command[..command[1..].find('\'').unwrap() + 2];
                assert!(tried.contains(&format!("redis.call({command}")), "{command}");
            }
        }
    }
    check(
        Use::Sessions,
        &[
            include_str!("../../sessions/src/scripts/fill.lua"),
            include_str!("../../sessions/src/scripts/refresh.lua"),
            include_str!("../../sessions/src/scripts/end_one.lua"),
            include_str!("../../sessions/src/scripts/end_all.lua"),
        ],
    );
    check(
        Use::Guesses,
        &[
            include_str!("../../guard/src/scripts/table.lua"),
            include_str!("../../guard/src/scripts/reserve.lua"),
            include_str!("../../guard/src/scripts/charge.lua"),
            include_str!("../../guard/src/scripts/settle.lua"),
        ],
    );
}

#[test]
fn a_trial_leaves_nothing() {
    let redis = Redis::start();
    for name_of_use in [Use::Sessions, Use::Guesses] {
        let pool = RedisPool::new(redis.url(), 1, name_of_use).unwrap();
        pool.look().unwrap();
        assert!(pool.is_up() && pool.stats().connected == 1);
    }
    assert_eq!(redis.ask("DBSIZE"), ":0");
    // Tests tell by them whether sessions were asked for, and operators how good the copy is.
    assert_eq!(redis.info("keyspace_hits"), 0);
}
