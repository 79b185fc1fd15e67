//! Where addresses come from: who may say where a user is, and what is noticed when nobody does.

use std::net::{IpAddr, Ipv4Addr};

use e2e::{Client, Nginx, RawConnection, Server, System};

use crate::{
    PASSWORD,
    v1::{answer, authenticate, register},
};

/// As many names as a network may be told at once, by default, and what it gets beyond them while the
/// test runs: waits double from a second.
const BURST: std::ops::RangeInclusive<usize> = 100..=120;

/// What the front has counted of requests whose users it cannot tell apart.
fn counted(front: &Server, reason: &str) -> usize {
    let metrics = front.ops().get("/metrics", None).assert_status(200);
    let name = format!("http_front_unknown_client_address_requests_total{{reason=\"{reason}\"}} ");
    let text = metrics.text();
    let value = text.lines().find_map(|line| line.strip_prefix(&name));
    value.unwrap_or_else(|| panic!("no {name}")).parse().expect("a whole number")
}

/// How often the log advises this.
fn advised(front: &Server, advice: &str) -> usize {
    front.log().lines().filter(|line| line.contains(advice)).count()
}

/// How many of 400 guesses, each at a name of its own and with an invented `X-Forwarded-For`, are answered.
fn guesses_let_through(proxy: &Client) -> usize {
    let guess = |number: usize| {
        let invented = format!("198.18.{}.{}", number / 250, number % 250 + 1);
        proxy.behind_proxy(&invented).authenticate(&format!("user{number}"), PASSWORD).status
    };
    let statuses: Vec<_> = (0..400).map(guess).collect();
    assert!(statuses.iter().all(|status| [404, 429].contains(status)), "{statuses:?}");
    statuses.into_iter().filter(|status| *status == 404).count()
}

/// The client is on the machine of the front, whose addresses are exempt by default; what looks like a proxy is
/// not.
#[test]
fn an_invented_address_from_somebody_who_is_not_trusted_is_ignored_and_noticed() {
    let mut system = System::start();
    let user = system.client();
    let through = guesses_let_through(&user);
    assert!(BURST.contains(&through), "{through}");
    let front = system.front();
    assert_eq!(counted(front, "untrusted_proxy"), 400);
    let lines = advised(front, "start http_front with --trusted-proxies 127.0.0.1");
    // One a minute: the first at once.
    assert!((1..=4).contains(&lines), "{lines}");
    assert!(!front.log().contains("198.18."), "what it says is nobody's address");
    let audit = std::fs::read_to_string(system.scratch().join("data").join("audit.log"));
    assert!(!audit.expect("an audit log").contains("198.18."));

    // Whoever brings nothing of a proxy is exempt there, as before.
    let direct = (0..150)
        .filter(|number| user.authenticate(&format!("direct{number}"), PASSWORD).status == 404);
    assert_eq!(direct.count(), 150);
    assert_eq!(counted(system.front(), "untrusted_proxy"), 400);
}

/// nginx appends the address of its client to what the client has invented.
#[test]
fn an_invented_address_before_what_a_trusted_proxy_appends_is_ignored() {
    const PROXY: &str = "127.0.0.5";
    let mut system = System::builder().front_flags(&["--trusted-proxies", PROXY]).start();
    let front = system.front().address();
    let locations = format!(
        "proxy_bind {PROXY};\n\
         location / {{ proxy_pass http://{front}; proxy_set_header Host $http_host;\n\
         proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; }}"
    );
    let nginx = Nginx::start("", &locations);
    let through = guesses_let_through(&nginx.client());
    assert!(BURST.contains(&through), "{through}");
    let front = system.front();
    for reason in ["untrusted_proxy", "header_missing", "header_unreadable"] {
        assert_eq!(counted(front, reason), 0, "{reason}");
    }
    assert_eq!(advised(front, "--trusted-proxies "), 0);
    let audit = std::fs::read_to_string(system.scratch().join("data").join("audit.log"));
    let audit = audit.expect("an audit log");
    assert!(audit.contains(r#""client":"127.0.0.1""#) && !audit.contains("198.18."));
}

/// All its users are one address then, and they are limited as one, wherever that is.
#[test]
fn a_trusted_proxy_that_says_no_address_is_noticed() {
    let mut system = System::builder().front_flags(&["--trusted-proxies", "127.0.0.1"]).start();
    let user = system.client();
    let told = |client: &Client, prefix: &str| {
        let status = |number| client.authenticate(&format!("{prefix}{number}"), PASSWORD).status;
        (0..200).filter(|number| status(*number) == 404).count()
    };
    let through = told(&user, "user");
    assert!(BURST.contains(&through), "{through}");
    told(&user.behind_proxy("unknown"), "other");
    let front = system.front();
    assert_eq!((counted(front, "header_missing"), counted(front, "header_unreadable")), (200, 200));
    let lines = advised(front, "proxy_set_header X-Forwarded-For $remote_addr;");
    assert!((2..=8).contains(&lines), "{lines}");
    // A proxy that says one is not limited by those that do not.
    user.behind_proxy("203.0.113.7").authenticate("user", PASSWORD).assert_status(404);
}

/// v1 says no address, so that of the connection counts: a guesser on one machine keeps no client on another
/// out, and has a limit.
#[test]
fn clients_of_v1_are_told_apart_by_their_machines() {
    let mut system = System::builder().auth_flags(&["--accept-v1"]).start();
    let address = system.auth().address();
    let from =
        |last: u8| RawConnection::open_from(IpAddr::V4(Ipv4Addr::new(127, 0, 0, last)), address);
    let ask = |connection: &mut RawConnection, bytes: &[u8]| {
        connection.send(bytes);
        answer(connection).0
    };
    let (mut guesser, mut owner) = (from(2), from(3));
    assert_eq!(ask(&mut owner, &register("ada", PASSWORD)), 200);
    let statuses: Vec<_> =
        (0..25).map(|_| ask(&mut guesser, &authenticate("ada", "not the password"))).collect();
    assert!(statuses.starts_with(&[401; 20]) && statuses.ends_with(&[429]), "{statuses:?}");
    assert_eq!(ask(&mut owner, &authenticate("ada", PASSWORD)), 200);
    let told = (0..150).filter(|number| {
        ask(&mut guesser, &authenticate(&format!("user{number}"), PASSWORD)) == 404
    });
    // Twenty of a hundred are used up.
    let told = told.count();
    assert!((80..=100).contains(&told), "{told}");
}
