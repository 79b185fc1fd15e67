//! docs/redis.md: a server with exactly the rights that it names, and what Redis may do to users, which is nothing.
//!
//! Redis is a copy: a Redis that is away, hangs, refuses the server or takes no writes costs no user an answer, brings
//! no ended session back, and is used again without a hand. Only a start that Redis refuses ends.

use std::cell::RefCell;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;

use e2e::{Client, Program, Redis, System, run_to_end, until};

use crate::PASSWORD;
use crate::pages::Page;
use crate::users::an_operator_looks_after_a_user;

const PAGE: &str = include_str!("../../../docs/redis.md");

const USES: [&str; 2] = ["sessions", "guesses"];

/// Makes a user of Redis who may do everything.
fn account(redis: &Redis, password: &str) {
    let line = format!("ACL SETUSER gate on resetpass >{password} ~* +@all");
    assert_eq!(redis.ask(&line), "+OK");
}

fn url_of(redis: &Redis, account: &str, database: &str) -> String {
    format!("redis://{account}@{}/{database}", redis.address())
}

fn metric(system: &mut System, name: &str) -> [f64; 2] {
    USES.map(|name_of_use| {
        system.auth().metric(&format!("auth_back_redis_{name}{{use=\"{name_of_use}\"}}"))
    })
}

/// Without a request: the server itself finds out.
fn until_up(system: &mut System, expected: bool) {
    let expected = [f64::from(expected); 2];
    until("both uses of Redis to change", || (metric(system, "up") == expected).then_some(()));
}

#[track_caller]
fn check_ready(system: &mut System) {
    let answer = system.auth().ops().get("/readyz", None).assert_status(200);
    assert_eq!(answer.text(), r#"{"status":"ready"}"#);
}

/// The page is followed from its first line to its last; then users, guessers and operators do what they do.
#[test]
fn a_server_needs_the_rights_of_the_page_and_no_other() {
    let redis = Redis::start();
    let address = redis.address().to_string();
    let page = Page::new(PAGE, &[("127.0.0.1:6379", &address)]);
    for line in page.lines("redis") {
        assert_eq!(redis.ask(line), "+OK", "{line}");
    }
    let url = page.setting("AUTH_BACK_SESSIONS");
    let flags = ["--lease", "100ms", "--sessions-per-user", "3", "--sessions", url];
    let network = ["--throttle-network", "1", "--throttle-free", "2"];
    let mut system = System::builder()
        .fronts(2)
        .auth_flags(&[&flags[..], &network].concat())
        .front_flags(&["--trusted-proxies", "127.0.0.1"])
        .start();
    an_operator_looks_after_a_user(&system);
    let user = system.client();
    user.register("eve", PASSWORD).assert_status(200);
    // A fourth one ends the first.
    let tokens = [(); 4].map(|()| user.log_in("eve", PASSWORD));
    until("the first session to end", || (user.session(&tokens[0]).status == 401).then_some(()));
    user.session(&tokens[3]).assert_status(200);
    user.change_password(&tokens[3], PASSWORD, "staple battery horse").assert_status(200);
    let token = user.log_in("eve", "staple battery horse");
    user.logout_everywhere(&token).assert_status(200);
    // Wrong guesses until they have to wait.
    let guess = |number: u32| {
        let from = format!("2001:db8:{:x}:{:x}::1", number % 3, number);
        user.behind_proxy(&from).authenticate("eve", "wrong horse battery").status
    };
    let statuses: Vec<u16> = (0..40).chain([7; 5]).map(guess).collect();
    assert!(statuses.contains(&401) && statuses.contains(&429), "{statuses:?}");

    assert_eq!(metric(&mut system, "up"), [1.0; 2]);
    assert_eq!(metric(&mut system, "failures_total"), [0.0; 2]);
    assert!(redis.info("keyspace_hits") > 0, "it was asked");
    assert_eq!(redis.ask("ACL LOG"), "*0", "something was refused");
    // With one right less, whichever it is, there is no start.
    assert!(system.auth().stop().success());
    let rights = page.lines("redis").find_map(|line| line.split_once(" -@all ")).expect("rights").1;
    let directory = tempfile::tempdir().expect("a directory");
    for right in rights.split(' ') {
        let right = right.strip_prefix('+').expect("rights are given");
        // Without SELECT the database may be the first, and the page's is another.
        assert_eq!(redis.ask(&format!("ACL SETUSER gatehouse -{right}")), "+OK");
        check_refused(url, directory.path(), "NOPERM|can't run this command");
        assert_eq!(redis.ask(&format!("ACL SETUSER gatehouse +{right}")), "+OK");
    }
}

#[test]
fn a_start_that_redis_refuses_ends_at_once() {
    let redis = Redis::start();
    account(&redis, "secret");
    for line in [
        "ACL SETUSER none on >secret ~*",
        "ACL SETUSER one on >secret ~* +@all -zadd",
        "ACL SETUSER two on >secret ~* +@all -hgetall",
        "ACL SETUSER elsewhere on >secret ~other:* +@all",
    ] {
        assert_eq!(redis.ask(line), "+OK");
    }
    let directory = tempfile::tempdir().expect("a directory");
    let check = |account: &str, database: &str, expected: &str| {
        let url = url_of(&redis, account, database);
        check_refused(&url, directory.path(), expected);
    };
    check("gate:wrong", "0", "WRONGPASS invalid username-password pair");
    check("gate:secret", "99", "DB index is out of range");
    check("none:secret", "0", "no permissions to run the 'info' command");
    check("one:secret", "0", "can't run this command");
    check("two:secret", "0", "can't run this command");
    check("elsewhere:secret", "0", "keys");
    assert_eq!(redis.ask("CONFIG SET requirepass secret"), "+OK");
    let url = format!("redis://{}/0", redis.address());
    check_refused(&url, directory.path(), "NOAUTH Authentication required");
}

#[track_caller]
fn check_refused(url: &str, directory: &Path, expected: &str) {
    let data = format!("--data={}", directory.display());
    let flags = ["--listen=127.0.0.1:0", "--ops-listen=127.0.0.1:0", &data];
    let output = run_to_end(Program::AuthBack, &flags, &[("AUTH_BACK_SESSIONS", url)]);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{errors}");
    assert!(expected.split('|').any(|text| errors.contains(text)), "{expected}: {errors}");
    for text in ["Redis refuses us", "AUTH_BACK_SESSIONS"] {
        assert!(errors.contains(text), "{text}: {errors}");
    }
    assert!(!errors.contains("secret") && !errors.contains("wrong@"), "{errors}");
}

#[test]
fn a_start_does_not_wait_for_redis() {
    let redis = Redis::start();
    redis.kill();
    let mut system = System::builder().auth_flags(&["--sessions", &redis.url()]).start();
    check_ready(&mut system);
    until_up(&mut system, false);
    system.client().register("ada", PASSWORD).assert_status(200);
    redis.start_again();
    until_up(&mut system, true);
    let log = system.auth().log();
    for name_of_use in USES {
        assert!(log.contains(&format!("\"use\":\"{name_of_use}\"")), "{log}");
    }
}

/// The account's password is changed under a running server, whose connections are then closed.
#[test]
fn an_account_whose_password_was_changed_is_refused_until_it_is_put_right() {
    let redis = Redis::start();
    account(&redis, "secret");
    let url = url_of(&redis, "gate:secret", "0");
    let mut system = System::builder().auth_flags(&["--lease", "0ms", "--sessions", &url]).start();
    let users = Users::new(&system);
    until_up(&mut system, true);
    account(&redis, "another");
    let _closed = redis.ask("CLIENT KILL USER gate");
    until("both uses to be refused", || (metric(&mut system, "refuses") == [1.0; 2]).then_some(()));
    assert_eq!(metric(&mut system, "up"), [0.0; 2]);
    check_ready(&mut system);
    users.are_served();
    let told = system.operator(&["user", "revoke", "eve", "--all"]).run();
    assert_eq!(told.code, Some(0), "{told:?}");
    assert!(told.errors.contains("Redis refuses us: WRONGPASS"), "{told:?}");
    account(&redis, "secret");
    until_up(&mut system, true);
    assert_eq!(metric(&mut system, "refuses"), [0.0; 2]);
    users.are_served();
    let log = system.auth().log();
    assert!(log.contains("Redis refuses us") && log.contains("WRONGPASS"), "{log}");
    assert!(!log.contains("secret") && !log.contains("another\""), "{log}");
}

/// Users who were here before a disturbance.
struct Users {
    client: Client,
    live: String,
    ended: String,
}

impl Users {
    fn new(system: &System) -> Self {
        let client = system.client();
        for name in ["ada", "eve"] {
            client.register(name, PASSWORD).assert_status(200);
        }
        let [live, ended] = [0; 2].map(|_| client.log_in("ada", PASSWORD));
        // Redis has both.
        for token in [&live, &ended] {
            client.session(token).assert_status(200);
        }
        client.logout(&ended).assert_status(200);
        let users = Self { client, live, ended };
        users.are_served();
        users
    }

    /// Nobody who asks is refused, what was ended is not live, and what ends is not.
    #[track_caller]
    fn are_served(&self) {
        let Self { client, live, ended } = self;
        client.session(ended).assert_status(401);
        client.session(live).assert_status(200);
        client.authenticate("ada", "wrong horse battery").assert_status(401);
        let token = client.log_in("ada", PASSWORD);
        client.session(&token).assert_status(200);
        client.logout(&token).assert_status(200);
        client.session(&token).assert_status(401);
        let tokens = [0; 2].map(|_| client.log_in("eve", PASSWORD));
        for token in &tokens {
            client.session(token).assert_status(200);
        }
        client.logout_everywhere(&tokens[0]).assert_status(200);
        for token in &tokens {
            client.session(token).assert_status(401);
        }
    }
}

/// Whether the server finds Redis of no use during an accident.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Is {
    Away,
    There,
}

/// Users are served before, during and after an accident; and after it by Redis again.
fn outlives(redis: &Redis, is: Is, begin: &dyn Fn(), end: &dyn Fn()) {
    let flags = ["--lease", "0ms", "--sessions", &redis.url()];
    let mut system = System::builder().auth_flags(&flags).start();
    let users = Users::new(&system);
    begin();
    // At once, while the server knows nothing of it, and for as long as it takes to find out.
    users.are_served();
    if is == Is::Away {
        until_up(&mut system, false);
    }
    for _ in 0..5 {
        users.are_served();
        check_ready(&mut system);
    }
    end();
    until_up(&mut system, true);
    users.are_served();
    until("Redis to answer for sessions again", || {
        let hits = redis.info("keyspace_hits");
        users.are_served();
        (redis.info("keyspace_hits") > hits).then_some(())
    });
    check_ready(&mut system);
    let log = system.auth().log();
    assert!(!log.contains("panic"), "{log}");
}

#[test]
fn redis_is_restarted() {
    let redis = Redis::start();
    outlives(&redis, Is::Away, &|| redis.kill(), &|| redis.start_empty());
}

#[test]
fn redis_hangs() {
    let redis = Redis::start();
    outlives(&redis, Is::Away, &|| redis.pause(), &|| redis.resume());
}

#[test]
fn redis_is_emptied() {
    let redis = Redis::start();
    let empty = || assert_eq!(redis.ask("FLUSHALL"), "+OK");
    outlives(&redis, Is::There, &empty, &|| {});
}

/// Another machine became the master, and this one follows it.
#[test]
fn redis_is_demoted() {
    let redis = Redis::start();
    let master = Redis::start();
    let (ip, port) = (master.address().ip(), master.address().port());
    let page = Page::new(PAGE, &[("10.0.0.7 6379", &format!("{ip} {port}"))]);
    let demote = || page.lines("redis-demote").for_each(|line| drop(redis.ask(line)));
    outlives(&redis, Is::Away, &demote, &|| assert_eq!(redis.ask("REPLICAOF NO ONE"), "+OK"));
}

/// Nobody closes its connections. The server finds out, although nothing that it writes is refused.
#[test]
fn redis_is_demoted_by_hand() {
    let (redis, master) = (Redis::start(), Redis::start());
    let mut system = System::builder().auth_flags(&["--sessions", &redis.url()]).start();
    until_up(&mut system, true);
    let (ip, port) = (master.address().ip(), master.address().port());
    assert_eq!(redis.ask(&format!("REPLICAOF {ip} {port}")), "+OK");
    until_up(&mut system, false);
    assert_eq!(redis.ask("REPLICAOF NO ONE"), "+OK");
    until_up(&mut system, true);
}

/// It takes no writes, since it has no replica that would have them too.
#[test]
fn redis_is_read_only() {
    let redis = Redis::start();
    let set = setting(&redis, "min-replicas-to-write");
    outlives(&redis, Is::Away, &|| set("1"), &|| set("0"));
}

#[test]
fn redis_is_full() {
    let redis = Redis::start();
    let set = setting(&redis, "maxmemory");
    outlives(&redis, Is::Away, &|| set("1"), &|| set("0"));
}

/// Its memory is bounded, and it was told to make room by forgetting.
#[test]
fn redis_begins_to_evict() {
    let redis = Redis::start();
    setting(&redis, "maxmemory")("100mb");
    let set = setting(&redis, "maxmemory-policy");
    outlives(&redis, Is::Away, &|| set("allkeys-lru"), &|| set("noeviction"));
}

fn setting<'a>(redis: &'a Redis, name: &'a str) -> impl Fn(&str) + 'a {
    move |value| assert_eq!(redis.ask(&format!("CONFIG SET {name} {value}")), "+OK")
}

/// Every connection that it has is somebody else's.
#[test]
fn redis_is_out_of_connections() {
    let redis = Redis::start();
    let administrator = RefCell::new(Administrator::of(redis.address()));
    let ask = |command: &str| administrator.borrow_mut().ask(command);
    let begin = || {
        assert_eq!(ask("CONFIG SET maxclients 1"), "+OK");
        let _closed = ask("CLIENT KILL TYPE normal SKIPME yes");
    };
    outlives(&redis, Is::Away, &begin, &|| {
        assert_eq!(ask("CONFIG SET maxclients 1000"), "+OK");
    });
}

/// Somebody whose connection stays.
struct Administrator(BufReader<TcpStream>);

impl Administrator {
    fn of(address: SocketAddr) -> Self {
        Self(BufReader::new(TcpStream::connect(address).expect("it is let in")))
    }

    fn ask(&mut self, command: &str) -> String {
        self.0.get_mut().write_all(format!("{command}\r\n").as_bytes()).expect("it may be asked");
        let mut line = String::new();
        self.0.read_line(&mut line).expect("it answers");
        line.trim_end().to_owned()
    }
}
