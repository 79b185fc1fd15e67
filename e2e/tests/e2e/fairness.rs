//! One network that asks for all there is leaves others their share of hashes.
//!
//! A victim at one address logs in now and then; a flood comes from elsewhere. Both come through one proxy that
//! the front trusts, so they are told apart by what it says. Counted is how many of the victim's logins are served,
//! not how soon.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use e2e::{Client, StopOnDrop, System};

use crate::PASSWORD;

const VICTIM: &str = "198.51.100.7";
const LOGINS: usize = 20;
const SERVED_MIN: usize = 19;
const BETWEEN_LOGINS: Duration = Duration::from_millis(50);

/// Attackers that are refused rest for so long: they share the machine with the servers, and 400 of them would
/// else leave no processor to either.
const ATTACKERS_REST: Duration = Duration::from_millis(150);

/// What one attacker sends.
#[derive(Clone, Copy, Debug)]
enum Sends {
    /// The right password of an account of its own, one of so many.
    Logins { accounts: usize },
    /// Names that are no names.
    NoNames,
    /// Names that nobody has.
    UnknownNames,
}

/// Where the requests of an attacker come from.
#[derive(Clone, Copy, Debug)]
enum From {
    OneAddress,
    /// One of 256 networks of a /56.
    OneHome,
}

impl Sends {
    fn body(self, attacker: usize) -> String {
        let name = match self {
            Self::Logins { accounts } => account(attacker % accounts),
            Self::NoNames => "?".to_owned(),
            Self::UnknownNames => format!("nobody-{attacker}"),
        };
        format!(r#"{{"username":"{name}","password":"{PASSWORD}"}}"#)
    }
}

impl From {
    fn address(self, attacker: usize) -> String {
        match self {
            Self::OneAddress => "203.0.113.9".to_owned(),
            Self::OneHome => format!("2001:db8:7:1{:02x}::1", attacker % 256),
        }
    }
}

fn account(number: usize) -> String {
    format!("mallory-{number}")
}

fn system() -> System {
    System::builder()
        .default_hashing()
        .front_flags(&["--trusted-proxies", "127.0.0.1"])
        // How fast the machine is does not decide the test.
        .front_flags(&["--queue-time-max", "30s", "--request-timeout", "30s"])
        .auth_flags(&["--queue-time-max", "30s", "--sessions-per-user", "1000"])
        .start()
}

/// Requests over one connection, one after the other, until `over`.
fn flood(
    front: SocketAddr,
    sends: Sends,
    from: From,
    attacker: usize,
    over: &AtomicBool,
    served: &AtomicU64,
) {
    let body = sends.body(attacker);
    let request = format!(
        "POST /open_api/v1/authenticate HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: {}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        from.address(attacker),
        body.len()
    );
    let mut connection = TcpStream::connect(front).expect("a front listens");
    connection.set_read_timeout(Some(Duration::from_secs(20))).expect("it can be set");
    let mut answer = [0; 4096];
    while !over.load(Ordering::Relaxed) {
        connection.write_all(request.as_bytes()).expect("it takes requests");
        // Each answer is short, and sent in one piece.
        let count = connection.read(&mut answer).expect("it answers");
        match answer[..count].starts_with(b"HTTP/1.1 200") {
            true => drop(served.fetch_add(1, Ordering::Relaxed)),
            false => thread::sleep(ATTACKERS_REST),
        }
    }
}

/// Has the victim log in while so many attackers are at it; how often it was let in.
fn logins_served(
    front: SocketAddr,
    victim: &Client,
    attackers: usize,
    sends: Sends,
    from: From,
) -> usize {
    let (over, served) = (AtomicBool::new(false), AtomicU64::new(0));
    let begun = Barrier::new(attackers + 1);
    thread::scope(|scope| {
        let stop = StopOnDrop(&over);
        for attacker in 0..attackers {
            let (over, served, begun) = (&over, &served, &begun);
            let thread = thread::Builder::new().stack_size(128 * 1024);
            let work = move || {
                begun.wait();
                flood(front, sends, from, attacker, over, served);
            };
            thread.spawn_scoped(scope, work).expect("a thread");
        }
        begun.wait();
        // The flood is there before the victim comes.
        thread::sleep(Duration::from_millis(500));
        let answers: Vec<_> = (0..LOGINS)
            .map(|_| {
                let login = scope.spawn(|| victim.authenticate("ada", PASSWORD));
                thread::sleep(BETWEEN_LOGINS);
                login
            })
            .collect();
        let answers = answers.into_iter().map(|login| login.join().expect("it is answered"));
        let (let_in, refused): (Vec<_>, Vec<_>) = answers.partition(|answer| answer.status == 200);
        refused.iter().for_each(|answer| eprintln!("{} {}", answer.status, answer.text()));
        drop(stop);
        if let Sends::Logins { .. } = sends {
            assert!(served.load(Ordering::Relaxed) > 0, "what is left goes to the others");
        }
        let_in.len()
    })
}

#[track_caller]
fn check(attackers: usize, sends: Sends, from: From) {
    let mut system = system();
    let victim = system.client().behind_proxy(VICTIM);
    victim.register("ada", PASSWORD).assert_status(200);
    if let Sends::Logins { accounts } = sends {
        for number in 0..accounts {
            victim.register(&account(number), PASSWORD).assert_status(200);
        }
    }
    let served = logins_served(system.front().address(), &victim, attackers, sends, from);
    assert!(served >= SERVED_MIN, "{attackers} {sends:?} {from:?}: {served} of {LOGINS}");
}

#[test]
fn beside_nobody() {
    check(0, Sends::NoNames, From::OneAddress);
}

#[test]
fn beside_one_account_over_64_connections() {
    check(64, Sends::Logins { accounts: 1 }, From::OneAddress);
}

#[test]
fn beside_five_accounts_over_128_connections() {
    check(128, Sends::Logins { accounts: 5 }, From::OneAddress);
}

#[test]
fn beside_ten_accounts_over_256_connections() {
    check(256, Sends::Logins { accounts: 10 }, From::OneAddress);
}

#[test]
fn beside_names_that_are_no_names_over_400_connections() {
    check(400, Sends::NoNames, From::OneAddress);
}

#[test]
fn beside_attempts_that_are_limited_over_400_connections() {
    check(400, Sends::UnknownNames, From::OneAddress);
}

#[test]
fn beside_256_networks_of_one_home() {
    check(256, Sends::Logins { accounts: 10 }, From::OneHome);
}
