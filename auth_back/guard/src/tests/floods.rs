//! What a flood of names costs others.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::*;

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
    assert_eq!(bench.through("victim", networks(1000)), 80);
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
        // Every tenth has a /48 of its own, in which it counts three times.
        let address: IpAddr = if number % 10 == 0 {
            let site = u128::from(0x2001_u32) << 112 | u128::from(scrambled) << 80;
            Ipv6Addr::from(site).into()
        } else {
            Ipv4Addr::from(scrambled).into()
        };
        let attempt = Attempt { username: &username, address, is_forwarded: false, known: None };
        if let Ok(reservation) = bench.guard.reserve_login(&attempt, bench.now) {
            reservation.keep();
        }
    }
}

/// A network that is over its allowance has nothing to push others out with.
#[test]
fn refused_attempts_push_nothing_out() {
    let bench = Bench::new(|_| {});
    let owners: Vec<_> =
        (0..30_000).map(|number| format!("owner{number}")).zip(networks(30_000)).collect();
    for (name, from) in &owners {
        assert_eq!(bench.attempt(name, from, None, Right), None);
    }
    // As many as the table holds.
    let known = || {
        let is_known = |(name, from): &&(String, String)| {
            bench.reserve(name, from, None).is_ok_and(|reservation| reservation.is_known())
        };
        owners.iter().filter(is_known).count()
    };
    let before = known();
    assert!((10_000..20_000).contains(&before), "{before}");
    let through = |number| bench.attempt(&format!("user{number}"), GUESSER, None, Wrong).is_none();
    assert_eq!((0..200_000).filter(|number| through(*number)).count(), 100);
    let gone = before - known();
    assert!(gone <= 100, "{gone} are forgotten");
}

/// What the process takes of memory.
fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}
