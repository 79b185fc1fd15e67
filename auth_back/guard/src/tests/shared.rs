//! Servers that count together.

use std::collections::HashMap;

use redis_pool::Use;
use redis_pool::testing::Redis;
use unix_time::millis;

use super::*;
use crate::limits::{
    KNOWN_FOR, NETWORK_DELAY_MAX, SHARED_BYTES_MAX, SHARED_SET_BYTES, SHARED_SETS, WAYS,
};

/// Two servers that share what they count.
fn servers(redis: &Redis, change: fn(&mut GuardRules)) -> [Bench; 2] {
    [0; 2].map(|_| server(redis, change))
}

fn server(redis: &Redis, change: fn(&mut GuardRules)) -> Bench {
    let mut rules = guard_rules();
    change(&mut rules);
    let redis = RedisPool::new(redis.url(), 32, Use::Guesses).unwrap();
    Bench { guard: Arc::new(Guard::sharing(rules, redis).unwrap()), now: clock::now() }
}

#[test]
fn servers_allow_together_what_one_allows() {
    let redis = Redis::start();
    let [one, other] = servers(&redis, |_| {});
    for _ in 0..7 {
        assert_eq!(one.attempt("ada", GUESSER, None, Wrong), None);
        assert_eq!(one.attempt("ada", GUESSER, None, Nothing), None);
    }
    assert_eq!(other.exhaust("ada", GUESSER, None), (13, Some(Bucket::AccountNetwork)));
    assert_eq!(one.exhaust("ada", GUESSER, None), (0, Some(Bucket::AccountNetwork)));
    // A success on one clears what was counted on both.
    for _ in 0..5 {
        assert_eq!(one.attempt("bob", OWNER, None, Wrong), None);
        assert_eq!(other.attempt("bob", OWNER, None, Wrong), None);
    }
    assert_eq!(other.attempt("bob", OWNER, None, Right), None);
    let all: usize = [&one, &other].map(|server| server.exhaust("bob", OWNER, None).0).iter().sum();
    assert_eq!(all, 20);
}

#[test]
fn an_account_that_is_unlocked_is_as_if_nobody_had_failed_there() {
    let redis = Redis::start();
    let [one, other] = servers(&redis, |rules| rules.network_per_minute = 600);
    let all = || [&one, &other];
    let besiege = |server: &Bench| {
        networks(300).for_each(|from| {
            server.attempt("ada", &from, None, Wrong);
        });
    };
    assert_eq!(one.attempt("ada", OWNER, None, Right), None);
    besiege(&one);
    for server in all() {
        server.exhaust("ada", GUESSER, None);
        server.exhaust("bob", GUESSER, None);
    }
    for server in all() {
        assert_eq!(server.attempt("ada", ELSEWHERE, None, Wrong), Some(Bucket::Account));
        assert_eq!(server.exhaust("bob", GUESSER, None), (0, Some(Bucket::AccountNetwork)));
    }

    let (ada, from) = (Username::new("ada").unwrap(), [GUESSER.parse().unwrap()]);
    assert!(one.guard.unlock_shared(&ada, &from));
    all().into_iter().for_each(|server| server.guard.unlock_here(&ada, &from, server.now));
    assert_eq!(one.exhaust("ada", GUESSER, None), (20, Some(Bucket::AccountNetwork)));
    assert_eq!(other.attempt("ada", ELSEWHERE, None, Wrong), None);
    // Other accounts are not meant.
    for server in all() {
        assert_eq!(server.exhaust("bob", GUESSER, None), (0, Some(Bucket::AccountNetwork)));
    }
    // Who was known is so still, and an attack that goes on is stopped again.
    besiege(&other);
    for server in all() {
        assert_eq!(server.attempt("ada", "203.0.113.9", None, Right), Some(Bucket::Account));
        assert_eq!(server.attempt("ada", OWNER, None, Wrong), None);
    }
}

#[test]
fn who_is_known_to_one_is_known_to_the_other() {
    let redis = Redis::start();
    let [one, other] = servers(&redis, |_| {});
    assert_eq!(one.attempt("ada", OWNER, None, Right), None);
    let through = networks(300).enumerate().filter(|(number, from)| {
        let server = if number % 2 == 0 { &one } else { &other };
        server.attempt("ada", from, None, Wrong).is_none()
    });
    assert_eq!(through.count(), 100);
    for server in [&one, &other] {
        assert_eq!(server.attempt("ada", ELSEWHERE, None, Right), Some(Bucket::Account));
        assert_eq!(server.attempt("ada", OWNER, None, Wrong), None);
        let marker = device("ada");
        assert_eq!(server.attempt("ada", ELSEWHERE, Some(&marker), Wrong), None);
    }
    // A device that logs in makes its network known, and ends the row of failures.
    let marker = device("ada");
    assert_eq!(one.attempt("ada", "203.0.113.2", Some(&marker), Right), None);
    assert_eq!(other.attempt("ada", "203.0.113.3", None, Wrong), None);
}

/// Also where others have used up what their network has on that server.
#[test]
fn who_is_known_to_one_is_not_judged_by_others_on_the_other() {
    let redis = Redis::start();
    let [one, other] = servers(&redis, |_| {});
    for from in [GUESSER, "2001:db8::1"] {
        assert_eq!(one.attempt("alice", from, None, Right), None);
        let names = (0..300).map(|number| format!("user{number}"));
        let through = names.filter(|name| other.attempt(name, from, None, Wrong).is_none());
        assert_eq!(through.count(), 100);
        for server in [&one, &other] {
            assert_eq!(server.attempt("bob", from, None, Right), Some(Bucket::Network));
            assert_eq!(server.attempt("alice", from, None, Right), None);
        }
    }
}

#[test]
fn a_network_has_one_burst_for_all() {
    let redis = Redis::start();
    let servers = servers(&redis, |rules| rules.network_per_minute = 1);
    let mut names = 0..;
    let mut through = [0, 0];
    for (server, count) in servers.iter().zip(&mut through) {
        while server
            .attempt(&format!("user{}", names.next().unwrap()), GUESSER, None, Wrong)
            .is_none()
        {
            *count += 1;
            // It takes turns only after half.
            if *count == 6 {
                break;
            }
        }
    }
    assert_eq!(through, [6, 4]);
    let registered: usize = servers
        .iter()
        .map(|server| (0..6).filter(|_| server.register(GUESSER).is_ok()).count())
        .sum();
    assert_eq!(registered, 10);
}

#[test]
fn a_site_has_one_burst_for_all_and_what_is_dear_counts_for_all() {
    let redis = Redis::start();
    let [one, other] = servers(&redis, |rules| rules.network_per_minute = 1);
    let guess = |server: &Bench, number: usize, from: &str, cost: u32| {
        let reserved = server.reserve(&format!("user{number}"), from, None);
        reserved.map(|mut reservation| {
            reservation.charge(Cost::of_hashes(cost));
            reservation.keep();
        })
    };
    // A sixteenth of a minute's allowance for each: half on one server, the rest on the other.
    let addresses: Vec<_> = of_one_site(200).collect();
    for (number, from) in addresses[..80].iter().enumerate() {
        assert_eq!(guess(&one, number, from, 1), Ok(()));
    }
    let through = addresses[80..].iter().enumerate();
    let through = through.filter(|(number, from)| guess(&other, 80 + number, from, 1).is_ok());
    assert_eq!(through.count(), 80);

    // Ten a burst, of which one takes half.
    assert_eq!(guess(&one, 1000, GUESSER, 5), Ok(()));
    assert_eq!(guess(&other, 1001, GUESSER, 100), Ok(()));
    for (number, server) in [&one, &other].into_iter().enumerate() {
        let refused = guess(server, 1002 + number, GUESSER, 1).unwrap_err();
        assert_eq!(refused.bucket, Bucket::Network);
    }
    // A right one costs nothing, whatever it costs.
    for _ in 0..30 {
        let mut reservation = one.reserve("ada", OWNER, None).unwrap();
        reservation.charge(Cost::of_hashes(5));
        reservation.clear();
    }
    let through = (0..30).filter(|number| guess(&other, 2000 + number, OWNER, 1).is_ok());
    assert_eq!(through.count(), 10);
}

#[test]
fn a_place_that_was_held_counts_for_the_network_of_all() {
    let redis = Redis::start();
    let [one, other] = servers(&redis, |rules| rules.network_per_minute = 1);
    for _ in 0..10 {
        assert_eq!(one.attempt("ada", GUESSER, None, Held), None);
    }
    assert_eq!(other.attempt("ada", GUESSER, None, Right), Some(Bucket::Network));
    assert_eq!(other.exhaust("ada", OWNER, None).1, Some(Bucket::Network));
    assert_eq!(other.attempt("ada", ELSEWHERE, None, Wrong), None);
}

#[test]
fn a_device_that_failed_on_one_is_a_stranger_to_the_other() {
    let redis = Redis::start();
    let [one, other] = servers(&redis, |rules| (rules.free, rules.account_failures) = (100, 20));
    let marker = device("ada");
    for _ in 0..20 {
        assert_eq!(one.attempt("ada", GUESSER, Some(&marker), Wrong), None);
    }
    // Its network has not failed there yet: a stranger's turn.
    assert_eq!(other.attempt("ada", GUESSER, Some(&marker), Wrong), None);
    assert_eq!(other.attempt("ada", GUESSER, Some(&marker), Wrong), Some(Bucket::Account));
}

#[test]
fn guesses_at_the_same_time_on_two_servers_do_not_pass_together() {
    let redis = Redis::start();
    let servers = servers(&redis, |_| {});
    let (through, all) = (AtomicUsize::new(0), std::sync::Barrier::new(60));
    thread::scope(|scope| {
        for number in 0..60 {
            let (server, through, all) = (&servers[number % 2], &through, &all);
            scope.spawn(move || {
                all.wait();
                let reserved = server.reserve("ada", GUESSER, None);
                all.wait();
                if let Ok(reservation) = reserved {
                    through.fetch_add(1, Ordering::Relaxed);
                    reservation.keep();
                }
            });
        }
    });
    assert_eq!(through.into_inner(), 20);
}

#[test]
fn without_redis_each_server_allows_what_is_set_and_no_more() {
    let redis = Redis::start();
    let [one, other] = servers(&redis, |_| {});
    for _ in 0..5 {
        assert_eq!(one.attempt("ada", GUESSER, None, Wrong), None);
    }
    redis.kill();
    assert_eq!(one.exhaust("ada", GUESSER, None), (15, Some(Bucket::AccountNetwork)));
    assert_eq!(other.exhaust("ada", GUESSER, None), (20, Some(Bucket::AccountNetwork)));
    assert_eq!(one.attempt("ada", OWNER, None, Right), None);
}

#[test]
fn who_is_known_to_a_server_needs_no_redis_that_remembers_it() {
    let redis = Redis::start();
    let [one, other] = servers(&redis, |_| {});
    assert_eq!(one.attempt("ada", OWNER, None, Right), None);
    empty(&redis);
    besiege(&other, "ada");
    assert_eq!(one.attempt("ada", ELSEWHERE, None, Right), Some(Bucket::Account));
    assert_eq!(one.attempt("ada", OWNER, None, Right), None);
}

/// What a restart forgets in a server's own tables is in Redis: for as long as it matters, and not for ten
/// minutes.
#[test]
fn what_was_counted_outlives_servers_and_pauses() {
    let redis = Redis::start();
    let guess = |count: usize| {
        let server = server(&redis, |_| {});
        (0..count).filter(|_| server.attempt("ada", GUESSER, None, Wrong).is_none()).count()
    };
    for _ in 0..5 {
        assert_eq!(guess(4), 4);
        pass(&redis, Duration::from_secs(7 * 24 * 3600 / 5));
    }
    // Twenty were free; the waits after them double from a second.
    assert_eq!(guess(4), 1);
    // Whoever has logged in from there is known, after three weeks and a restart.
    assert_eq!(server(&redis, |_| {}).attempt("ada", OWNER, None, Right), None);
    pass(&redis, Duration::from_secs(21 * 24 * 3600));
    besiege(&server(&redis, |_| {}), "ada");
    assert_eq!(server(&redis, |_| {}).attempt("ada", OWNER, None, Right), None);
}

/// Servers that have the seed of a Redis that was emptied since, and one that has not, count together.
#[test]
fn an_emptied_redis_is_counted_in_by_all_alike() {
    let redis = Redis::start();
    let [one, other] = servers(&redis, |_| {});
    assert_eq!(one.attempt("bob", GUESSER, None, Wrong), None);
    assert_eq!(other.attempt("bob", GUESSER, None, Wrong), None);
    empty(&redis);
    let third = server(&redis, |_| {});
    for number in 0..18 {
        let server = [&one, &third, &other][number % 3];
        assert_eq!(server.attempt("ada", GUESSER, None, Wrong), None);
    }
    let left: usize =
        [&one, &other, &third].map(|server| server.exhaust("ada", GUESSER, None).0).iter().sum();
    assert_eq!(left, 2);
}

fn empty(redis: &Redis) {
    ::redis::cmd("FLUSHALL").exec(&mut redis.connect()).unwrap();
}

/// All entries of all sets, by set and field: level, last, mark.
fn entries(redis: &Redis) -> HashMap<(String, Vec<u8>), [i64; 3]> {
    let mut connection = redis.connect();
    let keys: Vec<String> = ::redis::cmd("KEYS").arg("*:*:*:*").query(&mut connection).unwrap();
    let mut entries = HashMap::new();
    for key in keys {
        let set: HashMap<Vec<u8>, String> =
            ::redis::cmd("HGETALL").arg(&key).query(&mut connection).unwrap();
        for (field, text) in set {
            let numbers: Vec<i64> = text.split(' ').map(|text| text.parse().unwrap()).collect();
            entries.insert((key.clone(), field), numbers.try_into().unwrap());
        }
    }
    entries
}

/// Moves all moments that Redis remembers by so many tenths of a second.
fn move_moments(redis: &Redis, by: i64) {
    let mut connection = redis.connect();
    for ((key, field), [level, last, mark]) in entries(redis) {
        let moved = [last, mark].map(|moment| if moment > 0 { moment + by } else { 0 });
        let text = format!("{level} {} {}", moved[0], moved[1]);
        ::redis::cmd("HSET").arg(&key).arg(field).arg(text).exec(&mut connection).unwrap();
    }
}

/// Lets time pass for Redis: what has not so long to live ends, all else grows older.
fn pass(redis: &Redis, time: Duration) {
    let mut connection = redis.connect();
    let keys: Vec<String> = ::redis::cmd("KEYS").arg("*:*:*:*").query(&mut connection).unwrap();
    for key in keys {
        let left: u64 = ::redis::cmd("PTTL").arg(&key).query(&mut connection).unwrap();
        let left = left.saturating_sub(millis(time));
        // Redis deletes what has no time left.
        ::redis::cmd("PEXPIRE").arg(&key).arg(left).exec(&mut connection).unwrap();
    }
    move_moments(redis, -i64::try_from(time.as_millis() / 100).unwrap());
}

#[test]
fn a_redis_whose_clock_is_set_back_locks_nobody_out() {
    const HOUR: i64 = 36_000;
    let redis = Redis::start();
    let [one, other] = servers(&redis, |rules| rules.network_per_minute = 5);
    for _ in 0..3 {
        assert_eq!(one.attempt("ada", GUESSER, None, Wrong), None);
    }
    move_moments(&redis, HOUR);
    assert_eq!(one.exhaust("ada", GUESSER, None), (17, Some(Bucket::AccountNetwork)));
    // The other is refused by Redis alone, and for as long as it would be.
    move_moments(&redis, HOUR);
    let refused = other.reserve("ada", GUESSER, None).unwrap_err();
    assert_eq!(refused.bucket, Bucket::AccountNetwork);
    assert!(refused.retry_after <= Duration::from_secs(1), "{refused:?}");
    let (now, _): (i64, i64) = ::redis::cmd("TIME").query(&mut redis.connect()).unwrap();
    let ahead = |[_, last, mark]: &[i64; 3]| last.max(mark) / 10 > now;
    let all = entries(&redis);
    assert!(all.values().any(ahead), "the buckets after the one that refused");
    let judged = |((set, _), _): &(&(String, Vec<u8>), &[i64; 3])| set.contains(":p:");
    let last = all.iter().find(judged).map(|(_, entry)| *entry).unwrap();
    assert!(!ahead(&last), "it waits from now on, and not until the clock is there again");
}

#[test]
fn every_key_but_the_seed_has_an_end_and_names_are_in_none() {
    let redis = Redis::start();
    let [one, _] = servers(&redis, |_| {});
    let marker = device("ada");
    for number in 0..50 {
        one.attempt(&format!("user{number}"), "2001:db8::1", None, Wrong);
    }
    one.attempt("ada", OWNER, None, Right);
    one.exhaust("eve", OWNER, None);
    one.attempt("ada", OWNER, Some(&marker), Wrong);
    one.register(OWNER).unwrap();
    let mut connection = redis.connect();
    let keys: Vec<String> = ::redis::cmd("KEYS").arg("*").query(&mut connection).unwrap();
    assert!(keys.len() > 200, "{keys:?}");
    let burst = Duration::from_secs(10 * 60) + 100 * NETWORK_DELAY_MAX;
    for key in &keys {
        let ms: i64 = ::redis::cmd("PTTL").arg(key).query(&mut connection).unwrap();
        if key == "gh2:guard:seed" {
            assert_eq!(ms, -1, "{key}");
            continue;
        }
        let most = if key.to_lowercase().contains(":n:") { burst } else { KNOWN_FOR };
        let most = i64::try_from(most.as_millis()).unwrap();
        assert!((most - 60_000..=most).contains(&ms), "{key} {ms}");
    }
    let text = format!("{keys:?} {:?}", entries(&redis));
    for name in ["user", "ada", "eve", "192.0.2.1", "2001"] {
        assert!(!text.contains(&format!(":{name}")), "{name}");
    }
}

/// A set that is full lets the entry of least worth go, as a table does.
#[test]
fn a_full_set_lets_the_least_go() {
    let redis = Redis::start();
    let one = server(&redis, |_| {});
    // An entry, so that there are a seed and a set.
    assert_eq!(one.attempt("ada", GUESSER, None, Wrong), None);
    let mut connection = redis.connect();
    let (now, _): (i64, i64) = ::redis::cmd("TIME").query(&mut connection).unwrap();
    let now = now * 10;
    let day = 864_000;
    // The worth of each: failures, half as much with each day; known, three.
    let mut check = |others: [(&str, [i64; 3]); WAYS], expected: &str| {
        let ((set, field), _) =
            entries(&redis).into_iter().find(|((set, _), _)| set.contains(":p:")).unwrap();
        ::redis::cmd("DEL").arg(&set).exec(&mut connection).unwrap();
        for (name, [level, last, mark]) in others {
            let text = format!("{level} {last} {mark}");
            ::redis::cmd("HSET").arg(&set).arg(name).arg(text).exec(&mut connection).unwrap();
        }
        assert_eq!(server(&redis, |_| {}).attempt("ada", GUESSER, None, Wrong), None);
        let left: Vec<Vec<u8>> = ::redis::cmd("HKEYS").arg(&set).query(&mut connection).unwrap();
        assert_eq!(left.len(), WAYS);
        assert!(left.contains(&field), "the new one is there");
        let gone: Vec<_> =
            others.iter().filter(|(name, _)| !left.contains(&name.as_bytes().to_vec())).collect();
        assert_eq!(gone.iter().map(|(name, _)| *name).collect::<Vec<_>>(), [expected]);
        ::redis::cmd("DEL").arg(&set).exec(&mut connection).unwrap();
        assert_eq!(server(&redis, |_| {}).attempt("ada", GUESSER, None, Wrong), None);
    };
    let level = |level| [level, now - 100, 0];
    check(
        [
            ("a", level(9)),
            ("b", level(8)),
            ("c", level(7)),
            ("least", level(2)),
            ("d", [0, now - 9 * day, now - 9 * day]),
            ("e", level(4)),
            ("f", level(3)),
            ("g", level(6)),
        ],
        "least",
    );
    check(
        [
            ("a", level(9)),
            ("b", level(5)),
            ("known", [0, now - day, now - day]),
            ("c", level(4)),
            // Five days: a thirty-second of it.
            ("quiet", [64, now - 5 * day, 0]),
            ("d", level(4)),
            ("e", level(4)),
            ("f", level(6)),
        ],
        "quiet",
    );
    check(
        [
            ("a", [1, now - 10, 0]),
            ("b", [1, now - 20, 0]),
            ("c", [1, now - 30, 0]),
            ("oldest", [1, now - 50, 0]),
            ("d", [1, now - 40, 0]),
            ("e", [1, now - 10, 0]),
            ("f", [2, now - 90, 0]),
            ("g", [3, now - 90, 0]),
        ],
        "oldest",
    );
}

/// How much memory Redis takes for a full set, and so for all of them.
#[test]
fn a_full_set_takes_no_more_than_is_said() {
    const SETS: u64 = 4_096;
    let redis = Redis::start();
    let mut connection = redis.connect();
    let used = |connection: &mut ::redis::Connection| -> u64 {
        let info: String = ::redis::cmd("INFO").arg("memory").query(connection).unwrap();
        let line = info.lines().find_map(|line| line.strip_prefix("used_memory_dataset:")).unwrap();
        let overhead =
            info.lines().find_map(|line| line.strip_prefix("used_memory_overhead:")).unwrap();
        line.trim().parse::<u64>().unwrap() + overhead.trim().parse::<u64>().unwrap()
    };
    let before = used(&mut connection);
    for number in 0..SETS {
        let key = format!("gh2:guard:p:{}", 60_000 + number % 5_000);
        let mut set = ::redis::cmd("HSET");
        set.arg(&key);
        for entry in 0..WAYS {
            let field = [u8::try_from(entry).unwrap(), 255, 254, 253, 252, 251, 250, 249];
            set.arg(&field[..]).arg("1000 17952345678 17952345678");
        }
        set.exec(&mut connection).unwrap();
        ::redis::cmd("PEXPIRE").arg(&key).arg(2_592_000_000_u64).exec(&mut connection).unwrap();
    }
    let each = (used(&mut connection) - before) / SETS;
    println!("{each} bytes a set, {} MiB for all", (each * all_sets()) >> 20);
    assert!(each <= SHARED_SET_BYTES, "{each}");
    assert_eq!(all_sets() * SHARED_SET_BYTES, SHARED_BYTES_MAX);
}

fn all_sets() -> u64 {
    SHARED_SETS.iter().map(|sets| u64::from(*sets)).sum()
}
