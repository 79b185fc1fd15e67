//! Guessers, owners, and floods.

use std::sync::atomic::AtomicUsize;
use std::thread;

use super::*;
use crate::accounts::testing::guard_rules;
use crate::credentials::{KeyId, Keyring, SecretKey, TokenKeyring};

/// A limiter, and a time that passes when it is told to.
struct Bench {
    guard: Arc<Guard>,
    now: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comes {
    Right,
    Wrong,
    Nothing,
}

use Comes::{Nothing, Right, Wrong};

impl Bench {
    fn new(change: impl FnOnce(&mut GuardRules)) -> Self {
        let mut rules = guard_rules();
        change(&mut rules);
        Self { guard: Arc::new(Guard::new(rules).unwrap()), now: clock::now() }
    }

    fn pass(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
    }

    /// One attempt to log in; what refused it, if something did.
    fn attempt(
        &self,
        name: &str,
        from: &str,
        device: Option<&DeviceMarker>,
        comes: Comes,
    ) -> Option<Bucket> {
        let username = Username::new(name).unwrap();
        let address = (!from.is_empty()).then(|| from.parse().unwrap());
        let attempt = Attempt { username: &username, address, known: device.map(Known::Device) };
        match self.guard.reserve_login(&attempt, self.now) {
            Ok(mut reservation) => {
                match comes {
                    Right => reservation.clear(),
                    Wrong => {
                        reservation.begin();
                        reservation.keep();
                    }
                    Nothing => drop(reservation),
                }
                None
            }
            Err(refused) => {
                assert!(refused.retry_after > Duration::ZERO);
                Some(refused.bucket)
            }
        }
    }

    /// How many wrong guesses get through until one is refused, and by what.
    fn exhaust(
        &self,
        name: &str,
        from: &str,
        device: Option<&DeviceMarker>,
    ) -> (usize, Option<Bucket>) {
        for count in 0..10_000 {
            if let Some(bucket) = self.attempt(name, from, device, Wrong) {
                return (count, Some(bucket));
            }
        }
        (10_000, None)
    }
}

fn device(name: &str) -> DeviceMarker {
    let keys = TokenKeyring::new(Keyring::single(KeyId::FIRST, SecretKey::random().unwrap()));
    keys.issue_device(&Username::new(name).unwrap(), None).unwrap()
}

/// Addresses of as many networks.
fn networks(count: u32) -> impl Iterator<Item = String> {
    (0..count).map(|number| format!("10.{}.{}.{}", number >> 16, number >> 8 & 255, number & 255))
}

const OWNER: &str = "192.0.2.1";
const GUESSER: &str = "198.51.100.1";

#[test]
fn a_network_has_so_many_wrong_guesses_at_an_account() {
    let bench = Bench::new(|_| {});
    assert_eq!(bench.exhaust("ada", GUESSER, None), (20, Some(Bucket::AccountNetwork)));
    // Neither other accounts nor other networks have to do with it.
    assert_eq!(bench.exhaust("bob", GUESSER, None), (20, Some(Bucket::AccountNetwork)));
    assert_eq!(bench.attempt("ada", OWNER, None, Right), None);
    // Nor does the owner's success give the guesser more.
    assert_eq!(bench.attempt("ada", GUESSER, None, Wrong), Some(Bucket::AccountNetwork));
    assert_eq!(bench.guard.refused(Bucket::AccountNetwork), 3);
}

#[test]
fn networks_are_what_one_guesser_has() {
    let bench = Bench::new(|_| {});
    assert_eq!(bench.exhaust("ada", "2001:db8::1", None).0, 20);
    assert_eq!(bench.exhaust("ada", "2001:db8::2:0:0:1", None).0, 0);
    assert_eq!(bench.exhaust("ada", "2001:db8:0:1::1", None).0, 20);
    assert_eq!(bench.exhaust("ada", "10.0.0.1", None).0, 20);
    assert_eq!(bench.exhaust("ada", "::ffff:10.0.0.1", None).0, 0);
    assert_eq!(bench.exhaust("ada", "", None).0, 20);
}

#[test]
fn a_success_clears_and_what_comes_to_nothing_counts_for_nothing() {
    let bench = Bench::new(|_| {});
    for comes in [Right, Nothing] {
        for _ in 0..1000 {
            assert_eq!(bench.attempt("ada", OWNER, None, comes), None);
        }
        assert_eq!(bench.attempt("ada", OWNER, None, Wrong), None);
    }
    assert_eq!(bench.exhaust("ada", OWNER, None).0, 18);
}

#[test]
fn a_hash_that_was_begun_counts_whatever_comes_of_it() {
    let bench = Bench::new(|_| {});
    let username = Username::new("ada").unwrap();
    let attempt = Attempt { username: &username, address: None, known: None };
    for undone in [true, false] {
        let mut reservation = bench.guard.reserve_login(&attempt, bench.now).unwrap();
        reservation.begin();
        if undone {
            reservation.undo();
        }
    }
    assert_eq!(bench.exhaust("ada", "", None).0, 19);
}

/// All attempts are in work at once: none is settled before all have been let through or refused.
#[test]
fn guesses_at_the_same_time_do_not_pass_together() {
    let check = |from: fn(u8) -> [u8; 4], expected: usize| {
        let bench = Bench::new(|_| {});
        let username = Username::new("ada").unwrap();
        let (through, all) = (AtomicUsize::new(0), std::sync::Barrier::new(200));
        thread::scope(|scope| {
            for number in 0..200 {
                let (bench, username, through, all) = (&bench, &username, &through, &all);
                scope.spawn(move || {
                    let address = Some(from(number).into());
                    let attempt = Attempt { username, address, known: None };
                    all.wait();
                    let reserved = bench.guard.reserve_login(&attempt, bench.now);
                    all.wait();
                    if let Ok(reservation) = reserved {
                        through.fetch_add(1, Ordering::Relaxed);
                        reservation.keep();
                    }
                });
            }
        });
        assert_eq!(through.into_inner(), expected);
    };
    check(|_| [198, 51, 100, 1], 20);
    check(|number| [198, 51, 100, number], 100);
}

/// Wrong guesses from many networks, until the account is in its slow lane.
fn besiege(bench: &Bench, name: &str) {
    let through = networks(1000).filter(|from| bench.attempt(name, from, None, Wrong).is_none());
    assert_eq!(through.count(), 100, "NIST SP 800-63B-4: at most 100 in a row");
}

#[test]
fn an_account_that_is_besieged_is_open_to_those_it_knows() {
    let mut bench = Bench::new(|_| {});
    assert_eq!(bench.attempt("ada", OWNER, None, Right), None);
    let marker = device("ada");
    besiege(&bench, "ada");
    assert_eq!(bench.attempt("ada", "203.0.113.1", None, Right), Some(Bucket::Account));
    // With a typo, from the known network; and with the known device, from anywhere.
    assert_eq!(bench.attempt("ada", OWNER, None, Wrong), None);
    assert_eq!(bench.attempt("ada", "203.0.113.1", Some(&marker), Wrong), None);
    assert_eq!(bench.attempt("ada", OWNER, None, Nothing), None);
    // Strangers have one attempt an hour, all together; theirs are not the owner's.
    bench.pass(3601);
    let through = networks(1000).filter(|from| bench.attempt("ada", from, None, Wrong).is_none());
    assert_eq!(through.count(), 1);
    assert_eq!(bench.attempt("ada", OWNER, None, Right), None);
    // In a row: the success has ended it.
    besiege(&bench, "ada");
}

#[test]
fn a_device_has_an_allowance_of_its_own_and_no_more() {
    let bench = Bench::new(|rules| rules.network_per_minute = 1);
    let marker = device("ada");
    assert_eq!(bench.exhaust("ada", GUESSER, None).1, Some(Bucket::Network));
    // The owner, behind the same address as the guesser.
    assert_eq!(bench.attempt("ada", GUESSER, Some(&marker), Right), None);
    assert_eq!(bench.exhaust("ada", GUESSER, Some(&marker)), (20, Some(Bucket::AccountDevice)));
    let other = device("ada");
    assert_eq!(bench.exhaust("ada", GUESSER, Some(&other)), (20, Some(Bucket::AccountDevice)));
}

#[test]
fn a_marker_that_only_fails_is_not_known_any_more() {
    let mut bench = Bench::new(|rules| rules.delay_max = Duration::from_secs(60));
    let marker = device("ada");
    let mut through = 0;
    while bench.attempt("ada", GUESSER, Some(&marker), Wrong) != Some(Bucket::Account) {
        through += 1;
        bench.pass(61);
        assert!(through < 200, "a stolen marker is good for ever");
    }
    // And one in the slow lane, as any stranger.
    assert_eq!(through, 101);
}

#[test]
fn a_device_makes_its_network_known() {
    let bench = Bench::new(|_| {});
    let marker = device("ada");
    assert_eq!(bench.attempt("ada", OWNER, Some(&marker), Right), None);
    besiege(&bench, "ada");
    assert_eq!(bench.attempt("ada", OWNER, None, Right), None);
}

#[test]
fn a_network_that_tries_many_names_waits_unless_it_is_left_out() {
    let check = |exempt: &str, expected: Option<Bucket>| {
        let bench = Bench::new(|rules| {
            rules.exempt = exempt.split_terminator(',').map(|text| text.parse().unwrap()).collect();
        });
        let refused =
            (0..1000).find_map(|n| bench.attempt(&format!("user{n}"), GUESSER, None, Wrong));
        assert_eq!(refused, expected);
        let register =
            || bench.guard.reserve_registration(Some(GUESSER.parse().unwrap()), bench.now);
        assert_eq!(register().err().map(|refused| refused.bucket), expected);
        // What is left out is not left out of the limits of accounts.
        if expected.is_none() {
            assert_eq!(bench.exhaust("ada", GUESSER, None), (20, Some(Bucket::AccountNetwork)));
        }
    };
    check("", Some(Bucket::Network));
    check("127.0.0.1,::1", Some(Bucket::Network));
    check("127.0.0.1,198.51.100.0/24", None);
}

#[test]
fn a_burst_of_a_network_is_what_was_set() {
    let bench = Bench::new(|_| {});
    let through = |address: Option<IpAddr>| {
        let reserve = || bench.guard.reserve_registration(address, bench.now);
        (0..1000).map_while(|_| reserve().ok().map(Reservation::keep)).count()
    };
    assert_eq!(through(Some(GUESSER.parse().unwrap())), 100);
    assert_eq!(through(None), 1000, "nobody is one network with everybody");
}

/// Ten million names that nobody has, each from a network of its own: whoever floods the limiter
/// cannot make it grow, nor make it forget somebody whom they are guessing at.
#[test]
fn ten_million_random_names_neither_grow_it_nor_make_it_forget() {
    const NAMES: u32 = 10_000_000;
    const MEMORY: u64 = 8 << 20;
    let bench = Bench::new(|rules| rules.memory = MEMORY);
    assert_eq!(bench.exhaust("victim", GUESSER, None).0, 20);
    assert_eq!(bench.attempt("owned", OWNER, None, Right), None);
    let resident_before = resident_bytes();
    thread::scope(|scope| {
        for half in 0..2 {
            let bench = &bench;
            scope.spawn(move || flood(bench, half, NAMES / 2));
        }
    });
    assert!(bench.guard.memory() as u64 <= MEMORY, "{}", bench.guard.memory());
    let grown = resident_bytes().saturating_sub(resident_before);
    assert!(grown <= MEMORY + (4 << 20), "{grown} bytes more are resident");
    assert_eq!(bench.attempt("victim", GUESSER, None, Wrong), Some(Bucket::AccountNetwork));
    // Of the hundred failures in a row, 20 were remembered.
    let through =
        networks(1000).filter(|from| bench.attempt("victim", from, None, Wrong).is_none());
    assert_eq!(through.count(), 80);
    // A network that is known outlives names that were tried once.
    besiege(&bench, "owned");
    assert_eq!(bench.attempt("owned", OWNER, None, Right), None);
}

/// Guesses at names that differ, each from a network of its own.
fn flood(bench: &Bench, half: u32, count: u32) {
    for number in 0..count {
        // A bijection, so that no name comes twice, and no order that a hash could like.
        let scrambled = (number * 2 + half).wrapping_mul(0x9e37_79b1);
        let username = Username::new(&format!("u{scrambled:08x}")).unwrap();
        let network = u64::from(0x2001_0db8_u32) << 32 | u64::from(scrambled);
        let address = Some(IpAddr::V6((u128::from(network) << 64).into()));
        let attempt = Attempt { username: &username, address, known: None };
        if let Ok(reservation) = bench.guard.reserve_login(&attempt, bench.now) {
            reservation.keep();
        }
    }
}

/// What the process takes of memory.
fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

mod shared {
    use super::*;
    use crate::redis_pool::testing::Redis;

    /// Two servers that share what they count.
    fn servers(redis: &Redis, change: fn(&mut GuardRules)) -> [Bench; 2] {
        [0; 2].map(|_| {
            let Bench { guard, now } = Bench::new(change);
            let redis = RedisPool::new(redis.url(), 32).unwrap();
            let guard = Arc::into_inner(guard).unwrap().shared_through(redis);
            Bench { guard: Arc::new(guard), now }
        })
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
        let all: usize =
            [&one, &other].map(|server| server.exhaust("bob", OWNER, None).0).iter().sum();
        assert_eq!(all, 20);
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
            let elsewhere = "203.0.113.1";
            assert_eq!(server.attempt("ada", elsewhere, None, Right), Some(Bucket::Account));
            assert_eq!(server.attempt("ada", OWNER, None, Wrong), None);
            let marker = device("ada");
            assert_eq!(server.attempt("ada", elsewhere, Some(&marker), Wrong), None);
        }
        // A device that logs in makes its network known, and ends the row of failures.
        let marker = device("ada");
        assert_eq!(one.attempt("ada", "203.0.113.2", Some(&marker), Right), None);
        assert_eq!(other.attempt("ada", "203.0.113.3", None, Wrong), None);
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
        let register =
            servers[0].guard.reserve_registration(Some(GUESSER.parse().unwrap()), clock::now());
        assert_eq!(register.unwrap_err().bucket, Bucket::Network);
    }

    #[test]
    fn a_device_that_failed_on_one_is_a_stranger_to_the_other() {
        let redis = Redis::start();
        let [one, other] =
            servers(&redis, |rules| (rules.free, rules.account_failures) = (100, 20));
        let marker = device("ada");
        for _ in 0..20 {
            assert_eq!(one.attempt("ada", GUESSER, Some(&marker), Wrong), None);
        }
        assert_eq!(other.attempt("ada", GUESSER, Some(&marker), Wrong), Some(Bucket::Account));
    }

    #[test]
    fn guesses_at_the_same_time_on_two_servers_do_not_pass_together() {
        let redis = Redis::start();
        let servers = servers(&redis, |_| {});
        let username = Username::new("ada").unwrap();
        let (through, all) = (AtomicUsize::new(0), std::sync::Barrier::new(60));
        thread::scope(|scope| {
            for number in 0..60 {
                let (server, username, through, all) =
                    (&servers[number % 2], &username, &through, &all);
                scope.spawn(move || {
                    let address = Some(GUESSER.parse().unwrap());
                    let attempt = Attempt { username, address, known: None };
                    all.wait();
                    let reserved = server.guard.reserve_login(&attempt, server.now);
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
        ::redis::cmd("FLUSHALL").exec(&mut redis.connect()).unwrap();
        besiege(&other, "ada");
        assert_eq!(one.attempt("ada", "203.0.113.1", None, Right), Some(Bucket::Account));
        assert_eq!(one.attempt("ada", OWNER, None, Right), None);
    }

    /// Moves all that Redis remembers an hour ahead, as if its clock had been set back by one.
    fn set_clock_back(redis: &Redis) {
        let mut connection = redis.connect();
        let keys: Vec<String> = ::redis::cmd("KEYS").arg("*").query(&mut connection).unwrap();
        for key in keys {
            for field in ["t", "m"] {
                let ms: i64 =
                    ::redis::cmd("HGET").arg(&key).arg(field).query(&mut connection).unwrap();
                if ms > 0 {
                    let mut set = ::redis::cmd("HSET");
                    set.arg(&key).arg(field).arg(ms + 3_600_000).exec(&mut connection).unwrap();
                }
            }
        }
    }

    #[test]
    fn a_redis_whose_clock_is_set_back_locks_nobody_out() {
        let redis = Redis::start();
        let [one, other] = servers(&redis, |rules| rules.network_per_minute = 5);
        for _ in 0..3 {
            assert_eq!(one.attempt("ada", GUESSER, None, Wrong), None);
        }
        set_clock_back(&redis);
        assert_eq!(one.exhaust("ada", GUESSER, None), (17, Some(Bucket::AccountNetwork)));
        // The other is refused by Redis alone, and for as long as it would be.
        set_clock_back(&redis);
        let username = Username::new("ada").unwrap();
        let attempt =
            Attempt { username: &username, address: Some(GUESSER.parse().unwrap()), known: None };
        let refused = other.guard.reserve_login(&attempt, other.now).unwrap_err();
        assert_eq!(refused.bucket, Bucket::AccountNetwork);
        assert!(refused.retry_after <= DELAY_FIRST, "{refused:?}");
        let mut connection = redis.connect();
        let (now, _): (i64, i64) = ::redis::cmd("TIME").query(&mut connection).unwrap();
        let key = format!("gh1:guard:p:ada:{}", Source::of(Some(GUESSER.parse().unwrap())));
        let last: i64 = ::redis::cmd("HGET").arg(key).arg("t").query(&mut connection).unwrap();
        assert!(last / 1000 <= now, "it waits from now on, and not until the clock is there again");
    }

    #[test]
    fn every_key_has_an_end_and_random_names_have_it_soon() {
        let redis = Redis::start();
        let [one, _] = servers(&redis, |_| {});
        let marker = device("ada");
        for number in 0..50 {
            one.attempt(&format!("user{number}"), GUESSER, None, Wrong);
        }
        one.attempt("ada", OWNER, None, Right);
        one.exhaust("eve", OWNER, None);
        one.attempt("ada", OWNER, Some(&marker), Wrong);
        let mut connection = redis.connect();
        let keys: Vec<String> = ::redis::cmd("KEYS").arg("*").query(&mut connection).unwrap();
        assert!(keys.len() > 100, "{keys:?}");
        for key in keys {
            let ms: i64 = ::redis::cmd("PTTL").arg(&key).query(&mut connection).unwrap();
            let most = if key.contains("user") { 600_000 } else { 30 * 24 * 3_600_000 };
            assert!((1..=most).contains(&ms), "{key} {ms}");
        }
    }
}
