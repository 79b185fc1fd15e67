//! Passwords and tokens leave nothing behind: not in the logs, not in the database, and not in the
//! memory of a server that has answered.

use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use e2e::{Answer, Database, Redis, Secrets, Store, System, memory_image};
use mysql::prelude::Queryable;
use serde_json::json;
use tempfile::TempDir;

use crate::peer::{AUTHENTICATE, Body, Peer, Style};

/// Everything is logged, and memory may be dumped.
const OPEN: [&str; 2] = ["--allow-core-dumps", "--log-level=trace"];

/// Images taken before what is in all of them counts as left behind: a worker may not yet wait again
/// although its answer has arrived.
const IMAGES_MAX: usize = 3;

/// Where a token's random part is among its bytes.
const TOKEN_RANDOM: std::ops::Range<usize> = 3..19;

#[test]
fn nothing_secret_is_left_on_sqlite() {
    leaves_nothing(System::builder().front_flags(&OPEN).auth_flags(&OPEN).start(), &[], None);
}

#[test]
fn nothing_secret_is_left_in_redis() {
    let redis = Redis::start();
    let url = redis.url();
    let flags = [&OPEN[..], &["--sessions", &url]].concat();
    let system = System::builder().front_flags(&OPEN).auth_flags(&flags).start();
    leaves_nothing(system, &[], Some(&redis));
    assert!(redis.info("keyspace_hits") > 0, "it was asked");
}

#[test]
fn nothing_secret_is_left_on_mariadb() {
    let database = Database::new();
    let data: Option<String> = database.connect().query_first("SELECT @@datadir").unwrap();
    let system = System::builder().store(Store::MariaDb(database));
    let system = system.front_flags(&OPEN).auth_flags(&OPEN).start();
    leaves_nothing(system, &[data.expect("every server has one").into()], None);
}

/// Runs everything that carries a secret and looks for each in files, those of the system and those
/// in `places`, and in the memory of both servers and of Redis.
fn leaves_nothing(mut system: System, places: &[PathBuf], redis: Option<&Redis>) {
    let cores = tempfile::tempdir().expect("a scratch directory can be made");
    let pids = [system.front().pid(), system.auth().pid()];
    let mut secrets = Secrets::default();
    secrets_in_flight_are_found(&system, pids, &mut secrets, &cores);
    for round in 0..4 {
        use_secrets(&system, round, &mut secrets);
    }

    let snapshot = redis.map(|redis| {
        redis.save();
        redis.directory()
    });
    for place in places.iter().map(PathBuf::as_path).chain([system.scratch()]).chain(snapshot) {
        let found = secrets.found_under(place);
        assert!(found.is_empty(), "{found:#?}");
    }
    let servers = [(pids[0], "http_front"), (pids[1], "auth_back")].into_iter();
    for (pid, server) in servers.chain(redis.map(|redis| (redis.pid(), "redis"))) {
        let image = || secrets.found_in(&memory_image(pid, cores.path()));
        let mut left = image();
        for _ in 1..IMAGES_MAX {
            if !left.is_empty() {
                left = image();
            }
        }
        assert!(left.is_empty(), "in the memory of {server}: {left:#?}");
    }
}

/// Shows that the search can find: a request of which the end has not come is in memory.
fn secrets_in_flight_are_found(
    system: &System,
    [front_pid, auth_pid]: [u32; 2],
    secrets: &mut Secrets,
    cores: &TempDir,
) {
    let secret = password("in flight");
    let is_found_in = |pid| {
        let mut wanted = Secrets::default();
        wanted.add("in flight", &secret);
        e2e::until("the first bytes of a request", || {
            (!wanted.found_in(&memory_image(pid, cores.path())).is_empty()).then_some(())
        });
    };
    let body = json!({ "username": "ada", "password": secret }).to_string();
    let head = format!(
        "POST /open_api/v1/register HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    );
    let mut user = system.raw_http();
    user.send(head.as_bytes());
    user.send(&body.as_bytes()[..body.len() - 1]);
    is_found_in(front_pid);

    let mut peer = Peer::greet(system.raw_auth(), Style::default(), &Body::hello(2));
    let frame = Style::default().request(AUTHENTICATE, 1, &Body::authenticate("ada", &secret));
    peer.send(&frame[..frame.len() - 1]);
    is_found_in(auth_pid);
    // The rest never comes: both connections end here, and what they had sent has to go with them.
    secrets.add("in flight", &secret);
}

/// One user's life. Keeps to itself what would end it for all: it is the same in every round.
fn use_secrets(system: &System, round: usize, secrets: &mut Secrets) {
    let user = system.client();
    let name = format!("user-{round}");
    let mut new_password = |what: &str| {
        let text = password(&format!("{what} {round}"));
        secrets.add(what, &text);
        text
    };
    let chosen = new_password("chosen");
    user.register(&name, &chosen).assert_status(200);
    user.register(&name, &new_password("taken")).assert_status(409);
    user.register("no name", &new_password("for no name")).assert_status(400);
    user.register(&format!("long-{round}"), &new_password("long").repeat(3)).assert_status(400);
    user.authenticate(&name, &new_password("wrong")).assert_status(401);
    user.authenticate("nobody", &new_password("nobody's")).assert_status(404);
    for malformed in [
        format!(r#"{{"username":"ada","password":"{}","age":"x"}}"#, new_password("malformed")),
        format!(r#"{{"username":"ada","password":"{}" "x"}}"#, new_password("cut")),
    ] {
        register_by_hand(system, &malformed).assert_status(400);
    }
    let in_chunks = json!({ "username": name, "password": new_password("in chunks") });
    register_by_hand(system, &in_chunks.to_string()).assert_status(409);
    let changed = new_password("changed");

    let token = log_in(system, &name, &chosen, secrets);
    for _ in 0..3 {
        user.products(Some(&token)).assert_status(200);
        user.session(&token).assert_status(200);
    }
    let other = log_in(system, &name, &chosen, secrets);
    user.logout(&other).assert_status(200);
    user.products(Some(&other)).assert_status(401);
    user.products(Some(&forged(&token, secrets))).assert_status(401);

    user.get("/open_api/v1/sessions", Some(&token)).assert_status(200);
    let change = json!({ "current_password": chosen, "new_password": changed });
    let answer = user.post_as("/open_api/v1/change_password", &change, &token).assert_status(200);
    let token = answer.text_at("token");
    add_token("fresh token", &token, secrets);
    user.products(Some(&token)).assert_status(200);
    // The last round leaves its session alive.
    if round < 3 {
        user.logout(&token).assert_status(200);
    }
}

/// A password unlike anything else in memory, with characters that JSON escapes and characters of
/// several bytes, and so long that each piece of it can be told apart.
fn password(name: &str) -> String {
    format!("Zq9 {name} \"xWvK\" zwölf\\Boxkämpfer 🔑 {name} PlankTon")
}

fn log_in(system: &System, name: &str, password: &str, secrets: &mut Secrets) -> String {
    let answer = system.client().authenticate(name, password).assert_status(200);
    // A known-device marker proves less than a token, and is nobody else's business either.
    if let Some(marker) = answer.json()["device"].as_str() {
        secrets.add("device", marker);
    }
    let token = answer.text_at("token");
    add_token("token", &token, secrets);
    token
}

fn add_token(name: &str, token: &str, secrets: &mut Secrets) {
    secrets.add(name, token);
    let (_, body) = token.split_once('_').expect("a token has a prefix");
    let bytes = URL_SAFE_NO_PAD.decode(body).expect("the rest is base64");
    secrets.add_bytes(&format!("random part of {name}"), &bytes[TOKEN_RANDOM]);
}

/// A token as it could be, but for its tag.
fn forged(token: &str, secrets: &mut Secrets) -> String {
    let forged: String = token.chars().rev().collect();
    let forged = format!("gate_{}", forged.trim_end_matches("_etag"));
    secrets.add("forged", &forged);
    forged
}

/// Registers with a body as it is, in chunks.
fn register_by_hand(system: &System, body: &str) -> Answer {
    let mut user = system.raw_http();
    user.send(
        b"POST /open_api/v1/register HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n\
          Transfer-Encoding: chunked\r\n\r\n",
    );
    for chunk in body.as_bytes().chunks(40) {
        user.send(format!("{:x}\r\n", chunk.len()).as_bytes());
        user.send(chunk);
        user.send(b"\r\n");
    }
    user.send(b"0\r\n\r\n");
    user.answer()
}
