//! Guessers, owners, and floods.

mod floods;
mod history;
mod shared;

use std::sync::atomic::AtomicUsize;
use std::thread;
use std::time::Duration;

use credentials::{Cost, DeviceMarker, KeyId, Keyring, SecretKey, TokenKeyring};

use super::*;
use crate::testing::guard_rules;

/// A limiter, and a time that passes when it is told to.
struct Bench {
    guard: Arc<Guard>,
    now: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comes {
    Right,
    Wrong,
    /// Nothing: the store was away.
    Nothing,
    /// It waited for its hash in vain.
    Held,
}

use Comes::{Held, Nothing, Right, Wrong};

impl Bench {
    fn new(change: impl FnOnce(&mut GuardRules)) -> Self {
        let mut rules = guard_rules();
        change(&mut rules);
        Self { guard: Arc::new(Guard::new(rules).unwrap()), now: clock::now() }
    }

    fn pass(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
    }

    fn reserve(
        &self,
        name: &str,
        from: &str,
        device: Option<&DeviceMarker>,
    ) -> Result<Reservation, TooManyAttempts> {
        let username = Username::new(name).unwrap();
        let (address, known) = (from.parse().unwrap(), device.map(Known::Device));
        let attempt = Attempt { username: &username, address, is_forwarded: false, known };
        self.guard.reserve_login(&attempt, self.now)
    }

    /// One attempt to log in; what refused it, if something did.
    fn attempt(
        &self,
        name: &str,
        from: &str,
        device: Option<&DeviceMarker>,
        comes: Comes,
    ) -> Option<Bucket> {
        match self.reserve(name, from, device) {
            Ok(mut reservation) => {
                match comes {
                    Right => reservation.clear(),
                    Wrong => {
                        reservation.begin();
                        reservation.keep();
                    }
                    Nothing => drop(reservation),
                    Held => {
                        reservation.begin();
                        reservation.hold();
                    }
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

    /// How many of these networks get a wrong guess through.
    fn through(&self, name: &str, from: impl Iterator<Item = String>) -> usize {
        from.filter(|from| self.attempt(name, from, None, Wrong).is_none()).count()
    }

    fn register(&self, from: &str) -> Result<(), TooManyAttempts> {
        let reserved = self.guard.reserve_registration(from.parse().unwrap(), false, self.now);
        reserved.map(Reservation::keep)
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

/// Addresses of as many /64s of one /48, each in a /56 of its own as long as there are any.
fn of_one_site(count: u32) -> impl Iterator<Item = String> {
    (0..count).map(|number| format!("2001:db8:5:{:x}::1", (number & 255) << 8 | number >> 8))
}

const OWNER: &str = "192.0.2.1";
const GUESSER: &str = "198.51.100.1";
const ELSEWHERE: &str = "203.0.113.1";

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
    let bench = Bench::new(|rules| rules.account_failures = 1_000);
    assert_eq!(bench.exhaust("ada", "2001:db8::1", None).0, 20);
    assert_eq!(bench.exhaust("ada", "2001:db8::2:0:0:1", None).0, 0);
    assert_eq!(bench.exhaust("ada", "2001:db8:0:1::1", None).0, 20);
    assert_eq!(bench.exhaust("ada", "10.0.0.1", None).0, 20);
    assert_eq!(bench.exhaust("ada", "::ffff:10.0.0.1", None).0, 0);
    // A /56 has four times as many, and a /48 sixteen times.
    let rest_of_home = (2..256).map(|number| format!("2001:db8:0:{number:x}::1"));
    let exhaust = |from: String| bench.exhaust("ada", &from, None).0;
    assert_eq!(rest_of_home.map(exhaust).sum::<usize>(), 40);
    let rest_of_site = (256..2_000).map(|number| format!("2001:db8:0:{number:x}::1"));
    assert_eq!(rest_of_site.map(exhaust).sum::<usize>(), 240);
    assert_eq!(bench.exhaust("ada", "2001:db8:1::1", None).0, 20, "another /48");
}

#[test]
fn so_it_is_for_names_and_for_registrations() {
    fn check(attempt: &mut dyn FnMut(&str) -> Option<Bucket>, bucket: Bucket) {
        let mut exhaust = |from: &str| {
            let mut count = 0;
            loop {
                match attempt(from) {
                    None => count += 1,
                    Some(refused) => {
                        assert_eq!(refused, bucket);
                        return count;
                    }
                }
            }
        };
        assert_eq!(exhaust("192.0.2.1"), 10);
        let homes =
            |range: std::ops::Range<u32>| range.map(|number| format!("2001:db8:0:{number:x}::1"));
        let counts: Vec<u32> = homes(0..6).map(|from| exhaust(&from)).collect();
        assert_eq!(counts, [10, 10, 10, 10, 0, 0]);
        assert_eq!(homes(256..5_000).map(|from| exhaust(&from)).sum::<u32>(), 120);
        assert_eq!(exhaust("2001:db8:1::1"), 10, "another /48");
    }
    let one_a_minute = |rules: &mut GuardRules| rules.network_per_minute = 1;
    let (bench, mut names) = (Bench::new(one_a_minute), 0..);
    let mut name = || format!("user{}", names.next().unwrap());
    check(&mut |from| bench.attempt(&name(), from, None, Wrong), Bucket::Network);
    let bench = Bench::new(one_a_minute);
    let mut refused = |from: &str| bench.register(from).err().map(|refused| refused.bucket);
    check(&mut refused, Bucket::Registrations);
}

#[test]
fn a_wider_network_waits_a_shorter_time() {
    let mut bench = Bench::new(|rules| rules.network_per_minute = 1);
    let mut names = 0..;
    let mut wait = |bench: &Bench, from: &str| {
        let name = format!("user{}", names.next().unwrap());
        match bench.reserve(&name, from, None) {
            Ok(reservation) => {
                reservation.keep();
                None
            }
            Err(refused) => Some(refused.retry_after),
        }
    };
    // 160 are free for a /48; then waits double up to a sixteenth of a minute.
    for from in of_one_site(160) {
        assert_eq!(wait(&bench, &from), None);
    }
    for expected in [1_000, 2_000, 3_700, 3_700] {
        let refused = wait(&bench, "2001:db8:5:ffff::1");
        assert_eq!(refused, Some(Duration::from_millis(expected)));
        bench.now += Duration::from_millis(expected);
        assert_eq!(wait(&bench, "2001:db8:5:ffff::1"), None);
    }
    // It leaks sixteen a minute.
    bench.pass(120 + 60);
    let through = of_one_site(200).filter(|from| wait(&bench, from).is_none()).count();
    assert!((16..=48).contains(&through), "{through}");
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
    for undone in [true, false] {
        let mut reservation = bench.reserve("ada", GUESSER, None).unwrap();
        reservation.begin();
        if undone {
            reservation.undo();
        }
    }
    assert_eq!(bench.exhaust("ada", GUESSER, None).0, 19);
}

/// A place that was held until the time ran out is paid for by the network, and is no guess at the account.
#[test]
fn a_place_that_was_held_counts_for_the_network_alone() {
    let bench = Bench::new(|_| {});
    for _ in 0..100 {
        assert_eq!(bench.attempt("ada", GUESSER, None, Held), None);
    }
    assert_eq!(bench.attempt("ada", GUESSER, None, Right), Some(Bucket::Network));
    assert_eq!(bench.exhaust("ada", ELSEWHERE, None).0, 20);
    for _ in 0..100 {
        let mut reservation =
            bench.guard.reserve_registration(OWNER.parse().unwrap(), false, bench.now).unwrap();
        reservation.hold();
    }
    assert_eq!(bench.register(OWNER).unwrap_err().bucket, Bucket::Registrations);
}

#[test]
fn what_is_dear_is_charged_to_the_network_as_often() {
    let cost = Cost::of_hashes;
    // How many guesses at different accounts a network has that cost so much.
    let check = |hashes: u32, expected: usize| {
        let bench = Bench::new(|_| {});
        let through = (0..1_000).map_while(|number| {
            let mut reservation = bench.reserve(&format!("user{number}"), GUESSER, None).ok()?;
            reservation.charge(cost(hashes));
            reservation.keep();
            Some(())
        });
        assert_eq!(through.count(), expected, "{hashes}");
    };
    check(1, 100);
    check(2, 50);
    check(3, 34);
    check(49, 3);
    // No guess takes more than half of a burst.
    check(50, 2);
    check(200, 2);
    check(u32::MAX, 2);

    // To the account it is one guess, and a right one costs nothing.
    let bench = Bench::new(|_| {});
    for _ in 0..1_000 {
        let mut reservation = bench.reserve("ada", GUESSER, None).unwrap();
        reservation.charge(cost(40));
        reservation.clear();
    }
    for comes in [Nothing, Wrong] {
        let mut reservation = bench.reserve("bob", GUESSER, None).unwrap();
        reservation.charge(cost(40));
        if comes == Wrong {
            reservation.keep();
        }
    }
    assert_eq!(bench.exhaust("bob", ELSEWHERE, None).0, 20);
    let left = (0..1_000).map_while(|number| {
        bench.attempt(&format!("user{number}"), GUESSER, None, Wrong).is_none().then_some(())
    });
    assert_eq!(left.count(), 60);
}

/// However many of them at once: a network that was at it waits for hours, and not for days.
#[test]
fn a_network_that_tried_what_is_dear_is_well_again_after_two_hours() {
    let mut bench = Bench::new(|_| {});
    let at_once: Vec<_> = (0..90)
        .map(|number| bench.reserve(&format!("user{number}"), GUESSER, None).unwrap())
        .collect();
    for mut reservation in at_once {
        reservation.charge(Cost::of_hashes(200));
        reservation.keep();
    }
    assert_eq!(bench.attempt("ada", GUESSER, None, Right), Some(Bucket::Network));
    bench.pass(2 * 3600);
    let through = (0..1_000)
        .take_while(|n| bench.attempt(&format!("user{n}"), GUESSER, None, Wrong).is_none());
    assert_eq!(through.count(), 100);
}

/// All attempts are in work at once: none is settled before all have been let through or refused.
#[test]
fn guesses_at_the_same_time_do_not_pass_together() {
    let check = |from: fn(u8) -> [u8; 4], expected: usize| {
        let bench = Bench::new(|_| {});
        let (through, all) = (AtomicUsize::new(0), std::sync::Barrier::new(200));
        thread::scope(|scope| {
            for number in 0..200 {
                let (bench, through, all) = (&bench, &through, &all);
                scope.spawn(move || {
                    let from = IpAddr::from(from(number)).to_string();
                    all.wait();
                    let reserved = bench.reserve("ada", &from, None);
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
    assert_eq!(bench.through(name, networks(1000)), 100, "NIST SP 800-63B-4: at most 100 in a row");
}

#[test]
fn an_account_that_is_besieged_is_open_to_those_it_knows() {
    let mut bench = Bench::new(|_| {});
    assert_eq!(bench.attempt("ada", OWNER, None, Right), None);
    let marker = device("ada");
    besiege(&bench, "ada");
    assert_eq!(bench.attempt("ada", ELSEWHERE, None, Right), Some(Bucket::Account));
    // With a typo, from the known network; and with the known device, from anywhere.
    assert_eq!(bench.attempt("ada", OWNER, None, Wrong), None);
    assert_eq!(bench.attempt("ada", ELSEWHERE, Some(&marker), Wrong), None);
    assert_eq!(bench.attempt("ada", OWNER, None, Nothing), None);
    // Strangers have two attempts an hour, all together; theirs are not the owner's.
    bench.pass(3601);
    assert_eq!(bench.through("ada", networks(1000)), 2);
    assert_eq!(bench.attempt("ada", OWNER, None, Right), None);
    // In a row: the success has ended it.
    besiege(&bench, "ada");
}

/// Five addresses can bring an account into its slow lane in a second, and keep its common turn for as long as
/// they like. The owner, with a new device in a new network, gets in all the same.
#[test]
fn five_addresses_keep_no_owner_out() {
    let mut bench = Bench::new(|_| {});
    let five: Vec<_> = networks(5).collect();
    let guesses: usize = five.iter().map(|from| bench.exhaust("ada", from, None).0).sum();
    assert_eq!(guesses, 100);
    let refused = bench.reserve("ada", ELSEWHERE, None).unwrap_err();
    assert_eq!((refused.bucket, refused.retry_after.as_secs()), (Bucket::Account, 3600));

    // They ask all the time, and the owner whenever it suits, hours later.
    bench.pass(3600);
    for hour in 0..24 {
        assert_eq!(bench.through("ada", five.iter().cycle().take(50).cloned()), 1, "hour {hour}");
        bench.pass(1800);
        assert_eq!(bench.through("ada", five.iter().cloned()), 0, "hour {hour}");
        let refused = bench.reserve("ada", &five[0], None).unwrap_err();
        assert_eq!(refused.retry_after.as_secs(), 1800);
        // Whoever is let through and learns nothing gives the turn back.
        assert_eq!(bench.attempt("ada", ELSEWHERE, None, Nothing), None, "hour {hour}");
        bench.pass(1800);
    }
    assert_eq!(bench.attempt("ada", ELSEWHERE, None, Right), None);
}

/// A wrong guess in the turn of fresh networks ends that for the hour, and for this network for 30 days.
#[test]
fn a_network_is_fresh_once_in_thirty_days() {
    const DAY: u64 = 24 * 3600;
    let mut bench = Bench::new(|_| {});
    besiege(&bench, "ada");
    bench.pass(3600);
    // The common turn goes to one that has failed before.
    assert_eq!(bench.through("ada", networks(100)), 1);
    assert_eq!(bench.attempt("ada", OWNER, None, Wrong), None);
    let refused = bench.reserve("ada", ELSEWHERE, None).unwrap_err();
    assert_eq!((refused.bucket, refused.retry_after.as_secs()), (Bucket::Account, 3600));
    bench.pass(3600);
    assert_eq!(bench.through("ada", networks(100)), 1);
    assert_eq!(bench.attempt("ada", OWNER, None, Right), Some(Bucket::Account));
    bench.pass(29 * DAY - 7200);
    let latest = networks(1).next().unwrap();
    assert_eq!(bench.attempt("ada", &latest, None, Wrong), None);
    assert_eq!(bench.attempt("ada", OWNER, None, Right), Some(Bucket::Account));
    bench.pass(DAY + 3600);
    assert_eq!(bench.attempt("ada", &latest, None, Wrong), None);
    assert_eq!(bench.attempt("ada", &latest, None, Wrong), Some(Bucket::Account));
    assert_eq!(bench.attempt("ada", OWNER, None, Right), None);
}

/// A host with a /48 is one party: the turn of fresh networks is not its own for 65,536 hours.
#[test]
fn a_site_is_not_65536_fresh_networks() {
    let mut bench = Bench::new(|_| {});
    assert_eq!(bench.through("ada", of_one_site(1000)), 100);
    for _ in 0..24 {
        bench.pass(3600);
        assert_eq!(bench.through("ada", of_one_site(5000).skip(1000)), 1);
    }
    assert_eq!(bench.attempt("ada", ELSEWHERE, None, Nothing), None);
    assert_eq!(bench.attempt("ada", "2001:db8:6::1", None, Right), None);

    // One that has not failed before has both turns, until it has failed 16 times.
    let mut bench = Bench::new(|_| {});
    besiege(&bench, "ada");
    let mut through = Vec::new();
    for _ in 0..12 {
        bench.pass(3600);
        through.push(bench.through("ada", of_one_site(300)));
    }
    assert_eq!(through, [2, 2, 2, 2, 2, 2, 2, 2, 1, 1, 1, 1]);
}

/// With ten thousand networks somebody has both turns for as long as they like: two guesses an hour.
#[test]
fn a_botnet_has_two_guesses_an_hour() {
    let mut bench = Bench::new(|rules| rules.memory = 8 << 20);
    assert_eq!(bench.attempt("ada", OWNER, None, Right), None);
    besiege(&bench, "ada");
    let mut through = 0;
    let mut fresh = networks(10_000).skip(1_000).collect::<Vec<_>>().into_iter();
    for _ in 0..100 {
        bench.pass(3600);
        through += bench.through("ada", fresh.by_ref().take(80));
        assert_eq!(bench.attempt("ada", ELSEWHERE, None, Right), Some(Bucket::Account));
        assert_eq!(bench.attempt("ada", OWNER, None, Nothing), None);
    }
    assert_eq!(through, 200);
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

/// At one address: an office, a campus, a mobile network.
#[test]
fn whoever_is_known_is_not_judged_by_what_others_there_do_to_other_accounts() {
    let mut bench = Bench::new(|_| {});
    assert_eq!(bench.attempt("alice", GUESSER, None, Right), None);
    let names = |count| (0..count).map(|number| format!("user{number}"));
    let through = |bench: &Bench| {
        names(110).filter(|name| bench.attempt(name, GUESSER, None, Wrong).is_none()).count()
    };
    assert_eq!(through(&bench), 100);
    for _ in 0..3 {
        assert_eq!(bench.attempt("alice", GUESSER, None, Right), None);
        // A stranger there has to wait, also for a new account, but not because of the guesser.
        assert_eq!(bench.attempt("bob", GUESSER, None, Right), Some(Bucket::Network));
        assert_eq!(bench.register(GUESSER), Ok(()));
        bench.pass(3600);
        through(&bench);
    }
    // Known is known for one account, and for so many failures.
    assert_eq!(bench.exhaust("alice", GUESSER, None), (20, Some(Bucket::AccountNetwork)));
    // Whoever is known leaves others there what they have.
    let mut bench = Bench::new(|_| {});
    for from in ["2001:db8:5::1", GUESSER] {
        assert_eq!(bench.attempt("alice", from, None, Right), None);
        for _ in 0..50 {
            assert_eq!(bench.exhaust("alice", from, None).1, Some(Bucket::AccountNetwork));
            bench.pass(900);
            assert_eq!(bench.attempt("alice", from, None, Right), None);
        }
        let through = names(110).filter(|name| bench.attempt(name, from, None, Wrong).is_none());
        assert_eq!(through.count(), 100);
    }
}

#[test]
fn registrations_wait_for_registrations_alone() {
    let mut bench = Bench::new(|_| {});
    let burst = (0..1000).take_while(|_| bench.register(GUESSER).is_ok()).count();
    assert_eq!(burst, 100);
    assert_eq!(bench.attempt("ada", GUESSER, None, Wrong), None);
    // A wait that a person can sit out, however long somebody has gone on.
    for _ in 0..1_000 {
        match bench.register(GUESSER) {
            Ok(()) => {}
            Err(refused) => {
                assert_eq!(refused.bucket, Bucket::Registrations);
                assert!(refused.retry_after <= Duration::from_secs(60), "{refused:?}");
            }
        }
        bench.pass(1);
    }
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
    // And two in the slow lane, as any stranger: one of a network that has not failed yet, and one of all.
    assert_eq!(through, 102);
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
    let check = |exempt: &str, is_forwarded: bool, waits: bool| {
        let bench = Bench::new(|rules| {
            rules.exempt = exempt.split_terminator(',').map(|text| text.parse().unwrap()).collect();
        });
        let address = GUESSER.parse().unwrap();
        let refused = (0..1000).find_map(|number| {
            let username = Username::new(&format!("user{number}")).unwrap();
            let attempt = Attempt { username: &username, address, is_forwarded, known: None };
            bench.guard.reserve_login(&attempt, bench.now).map(Reservation::keep).err()
        });
        assert_eq!(refused.map(|refused| refused.bucket), waits.then_some(Bucket::Network));
        let refused = (0..1000).find_map(|_| {
            let reserved = bench.guard.reserve_registration(address, is_forwarded, bench.now);
            reserved.map(Reservation::keep).err()
        });
        assert_eq!(refused.map(|refused| refused.bucket), waits.then_some(Bucket::Registrations));
        // What is left out is not left out of the limits of accounts.
        if !waits {
            assert_eq!(bench.exhaust("ada", GUESSER, None), (20, Some(Bucket::AccountNetwork)));
        }
    };
    check("", false, true);
    check("127.0.0.1,::1", false, true);
    check("127.0.0.1,198.51.100.0/24", false, false);
    // A proxy on an exempt machine brings the requests of everybody.
    check("127.0.0.1,198.51.100.0/24", true, true);
}
