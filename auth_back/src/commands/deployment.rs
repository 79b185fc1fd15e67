//! `auth_back deployment`: the settings that all servers on a database have alike, and which servers there are.
//!
//! `set` writes to the database, which running servers read once a second. It ends when every one of them has said that it
//! goes by what was written.

use std::error::Error;
use std::time::Instant;

use clap::{Arg, ArgMatches, Command};
use credentials::ids::NodeId;
use serde_json::{Value, json};
use server::installation::DeploymentFault;
use server::limits::DEPLOYMENT_TRIES_MAX;
use server::settings::shared::{SESSIONS, SHARED};
use server::settings::{Settings, SharedValues};
use service::settings::SettingErrors;
use store::{DeploymentRow, ListedServer, Servers, Store};

use super::console::{ascii_json, say, tell};
use super::store_access::{open_store, patiently};
use super::subcommand::{Done, Subcommand, before_unless};
use super::{interrupt, keys};
use crate::limits::{
    DEPLOYMENT_FOLLOWED_TIME_MAX, DEPLOYMENT_LOOK_INTERVAL, SHOWN_REDIS_RUN_CHARS,
};

pub(super) const COMMAND: Subcommand =
    Subcommand { command, run, telling: |arguments| before_unless(arguments, &["show"]) };

const PAIRS: &str = "pairs";
const LIFETIME: &str = "session-lifetime";

/// Why nothing was set. Whoever gave the command has to change something.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unsettable {
    /// An argument is no pair. It is not repeated: it may hold a secret.
    #[error("want NAME=VALUE; names are {}", SHARED.join(", "))]
    NoPair,
    /// There is no such setting.
    #[error("{name:?} is not a setting that all servers share; those are {}", SHARED.join(", "))]
    Unknown {
        /// What was given for its name.
        name: String,
    },
    /// Which of the two values was meant?
    #[error("{0} is given twice")]
    Twice(String),
    /// Servers need a password for Redis, which is not in the database.
    #[error(
        "{SESSIONS} is changed by a start only, while no other server runs: stop every server, start one with \
         --sessions redis://… or --sessions store, then the others with the same"
    )]
    Sessions,
    /// Servers would not take it.
    #[error(transparent)]
    NotAllowed(SettingErrors),
}

fn command() -> Command {
    Command::new("deployment")
        .about("The settings that all servers on a database have alike")
        .subcommand_required(true)
        .subcommand(
            Command::new("show")
                .about("Show these settings, and which servers run")
                .arg(keys::json_switch()),
        )
        .subcommand(
            Command::new("set")
                .about(
                    "Change some for every server, while they run; not given, a start goes by them",
                )
                .arg(
                    Arg::new(PAIRS)
                        .value_name("NAME=VALUE")
                        .required(true)
                        .num_args(1..)
                        .help(format!("What is to be: {}", SHARED.join(", "))),
                ),
        )
}

fn run(arguments: &ArgMatches, settings: &Settings) -> Done {
    let per_user = settings.rules.sessions.per_user;
    match arguments.subcommand() {
        Some(("show", arguments)) => {
            let store = open_store(settings)?;
            show(&*store, per_user, keys::wants_json(arguments))
        }
        Some(("set", arguments)) => {
            let pairs = arguments.get_many::<String>(PAIRS).expect("the parser insists");
            let wanted = wanted(pairs.map(String::as_str))?;
            let store = open_store(settings)?;
            interrupt::watch()?;
            set(&*store, &wanted, per_user)
        }
        _ => unreachable!("the parser takes no others"),
    }
}

fn show(store: &dyn Store, per_user: u32, json: bool) -> Done {
    let row = patiently(|deadline| store.deployment(deadline))?;
    let servers = patiently(|deadline| store.servers(deadline))?;
    let there = SharedValues::parse(&row.settings);
    let all = match there.check(per_user) {
        Ok((_, all)) => all,
        Err(errors) => {
            tell(&format!("this program does not take a setting in the database: {errors}"));
            there.over(&defaults(per_user))
        }
    };
    if json {
        say(&ascii_json(&as_json(&row, &there, &all, &servers)))?;
        return Ok(());
    }
    say(&format!("revision {}", row.revision))?;
    for (name, value) in all.iter() {
        let is_default = there.get(name).is_none();
        let mark = if is_default { " (default; not in the database)" } else { "" };
        say(&format!("{} = {}{mark}", name.escape_debug(), value.escape_debug()))?;
    }
    let in_redis = all.get(SESSIONS) == Some("redis");
    for listed in servers.live() {
        for line in lines(listed, servers.now_ms, row.revision, in_redis) {
            say(&line)?;
        }
    }
    if servers.live().next().is_none() {
        say("no server runs")?;
    }
    Ok(())
}

/// What servers do where nothing is said.
fn defaults(per_user: u32) -> SharedValues {
    SharedValues::default().check(per_user).expect("defaults are allowed").1
}

/// A server for eyes.
fn lines(listed: &ListedServer, now_ms: u64, newest: u64, in_redis: bool) -> Vec<String> {
    let row = &listed.row;
    let seconds = renewed_ms_ago(listed, now_ms) / 1000;
    let (what, node, host) = (kind(listed), node(listed), row.host.escape_debug());
    let version = row.version.escape_debug();
    let head = format!("{what} {node} on {host}, version {version}, seen {seconds} s ago");
    if !row.serves {
        return vec![head];
    }
    let revision = match row.revision {
        0 => "has not read the settings yet".to_owned(),
        revision if revision >= newest => format!("goes by revision {revision}, the newest"),
        revision => format!("goes by revision {revision}, NOT the newest"),
    };
    let run: String = row.redis.chars().take(SHOWN_REDIS_RUN_CHARS).collect();
    let redis = match (run.is_empty(), in_redis) {
        (false, _) => format!("Redis {}", run.escape_debug()),
        (true, true) => "Redis not reached".to_owned(),
        (true, false) => "no Redis".to_owned(),
    };
    let mut lines = vec![head, format!("  {revision}; lease {} ms; {redis}", row.lease_ms)];
    if !row.about.is_empty() {
        lines.push(format!("  {}", row.about.escape_debug()));
    }
    lines
}

fn kind(listed: &ListedServer) -> &'static str {
    if listed.row.serves { "server" } else { "command" }
}

fn node(listed: &ListedServer) -> String {
    let number = listed.row.node;
    NodeId::of_number(number).map_or_else(|| number.to_string(), |node| node.to_string())
}

fn renewed_ms_ago(listed: &ListedServer, now_ms: u64) -> u64 {
    now_ms.saturating_sub(listed.renewed_ms)
}

fn as_json(
    row: &DeploymentRow,
    there: &SharedValues,
    all: &SharedValues,
    servers: &Servers,
) -> Value {
    let setting = |(name, value): (&str, &str)| {
        (name.to_owned(), json!({ "value": value, "is_default": there.get(name).is_none() }))
    };
    let settings: serde_json::Map<_, _> = all.iter().map(setting).collect();
    let server = |listed: &ListedServer| {
        json!({
            "kind": kind(listed),
            "node": node(listed),
            "host": listed.row.host,
            "version": listed.row.version,
            "renewed_ms_ago": renewed_ms_ago(listed, servers.now_ms),
            "lease_ms": listed.row.lease_ms,
            "revision": listed.row.revision,
            "is_newest": listed.row.revision >= row.revision,
            "about": listed.row.about,
            "redis_run": listed.row.redis,
        })
    };
    let servers: Vec<_> = servers.live().map(server).collect();
    json!({ "revision": row.revision, "settings": settings, "servers": servers })
}

/// What is to be set, as it was given.
fn wanted<'a>(pairs: impl Iterator<Item = &'a str>) -> Result<SharedValues, Unsettable> {
    let mut wanted = SharedValues::default();
    for pair in pairs {
        let (name, value) = pair.split_once('=').ok_or(Unsettable::NoPair)?;
        if name == SESSIONS {
            return Err(Unsettable::Sessions);
        }
        if !SHARED.contains(&name) {
            return Err(Unsettable::Unknown { name: name.to_owned() });
        }
        if wanted.get(name).is_some() {
            return Err(Unsettable::Twice(name.to_owned()));
        }
        wanted = wanted.with(name, value);
    }
    Ok(wanted)
}

/// What was written.
#[derive(Debug, PartialEq, Eq)]
struct Written {
    /// The revision that has it.
    revision: u64,
    /// Nothing if it was so before.
    changes: Vec<Change>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Change {
    name: String,
    from: String,
    to: String,
}

fn set(store: &dyn Store, wanted: &SharedValues, per_user: u32) -> Done {
    let Written { revision, changes } = write(store, wanted, per_user)?;
    for Change { name, from, to } in &changes {
        say(&format!("{name}: {from} -> {to}"))?;
    }
    if changes.is_empty() {
        say(&format!("nothing is changed: it is so since revision {revision} or before"))?;
    }
    if changes.iter().any(|change| change.name == LIFETIME) {
        say(&format!("{LIFETIME} holds for sessions that begin from now on; others keep theirs"))?;
    }
    let give_up = clock::now() + DEPLOYMENT_FOLLOWED_TIME_MAX;
    match wait_until_followed(store, revision, give_up)? {
        0 => say("no server runs; those that start go by it")?,
        1 => say("1 server goes by it")?,
        count => say(&format!("{count} servers go by it"))?,
    }
    Ok(())
}

/// Writes what is wanted, if it is not so already. Others may write at the same time.
fn write(
    store: &dyn Store,
    wanted: &SharedValues,
    per_user: u32,
) -> Result<Written, Box<dyn Error>> {
    // Of a try that failed and may have been done all the same.
    let mut tried = Vec::new();
    for _ in 0..DEPLOYMENT_TRIES_MAX {
        let row = patiently(|deadline| store.deployment(deadline))?;
        let there = SharedValues::parse(&row.settings);
        let (_, allowed) = wanted.over(&there).check(per_user).map_err(Unsettable::NotAllowed)?;
        let changes = changes(wanted, &there, &allowed, per_user);
        if changes.is_empty() {
            return Ok(Written { revision: row.revision, changes: tried });
        }
        // What is not in the database yet is left to the first server, which writes its own.
        let all = changes.iter().fold(there, |all, Change { name, to, .. }| all.with(name, to));
        let change = |deadline| store.change_deployment(row.revision, &all.to_text(), deadline);
        if patiently(change)? {
            return Ok(Written { revision: row.revision + 1, changes });
        }
        tried = changes;
    }
    Err(DeploymentFault::Contended.into())
}

/// What of `wanted` is not so in the database, in the texts that are used for it.
fn changes(
    wanted: &SharedValues,
    there: &SharedValues,
    allowed: &SharedValues,
    per_user: u32,
) -> Vec<Change> {
    let defaults = defaults(per_user);
    let change = |(name, _)| {
        let to = allowed.get(name)?;
        let from = match there.get(name) {
            Some(there) if there == to => return None,
            Some(there) => there.to_owned(),
            None => format!("{} (default)", defaults.get(name)?),
        };
        Some(Change { name: name.to_owned(), from, to: to.to_owned() })
    };
    wanted.iter().filter_map(change).collect()
}

/// Waits until every server goes by this revision, and returns how many there are.
fn wait_until_followed(
    store: &dyn Store,
    revision: u64,
    give_up: Instant,
) -> Result<usize, Box<dyn Error>> {
    loop {
        let is_last = clock::now() >= give_up;
        let servers = patiently(|deadline| store.servers(deadline)).map_err(|error| {
            format!("revision {revision} is in the database; who goes by it is not known: {error}")
        })?;
        let serving = servers.live().filter(|listed| listed.row.serves);
        let (follow, late): (Vec<_>, Vec<_>) =
            serving.partition(|listed| listed.row.revision >= revision);
        if late.is_empty() {
            return Ok(follow.len());
        }
        let who = |late: &[&ListedServer]| {
            let who =
                late.iter().map(|one| format!("{} ({})", one.row.host.escape_debug(), node(one)));
            who.collect::<Vec<_>>().join(", ")
        };
        if is_last {
            return Err(format!(
                "revision {revision} is in the database, but these servers do not go by it yet: {}; \
                 `auth_back deployment show` says when they do",
                who(&late)
            )
            .into());
        }
        interrupt::check(|| {
            format!(
                "revision {revision} is in the database; these servers did not go by it yet: {}",
                who(&late)
            )
        })?;
        interrupt::sleep(DEPLOYMENT_LOOK_INTERVAL);
    }
}

#[cfg(test)]
mod tests {
    use store::testing::Spy;
    use store::{Installation as _, ServerRow};

    use super::*;

    const PER_USER: u32 = 100;

    fn soon() -> Instant {
        clock::now() + server::limits::STORE_CALL_TIME_MAX
    }

    fn values(text: &str) -> SharedValues {
        SharedValues::parse(text)
    }

    #[test]
    fn only_shared_settings_are_set_here() {
        let check = |pairs: &[&str], expected: Result<&str, &str>| match (
            wanted(pairs.iter().copied()),
            expected,
        ) {
            (Ok(found), Ok(expected)) => assert_eq!(found, values(expected)),
            (Err(error), Err(words)) => {
                assert!(error.to_string().contains(words), "{error}");
            }
            (found, expected) => panic!("{pairs:?}: {found:?} instead of {expected:?}"),
        };
        check(&["lease=1s", "throttle-free=9"], Ok("lease=1s\nthrottle-free=9"));
        check(&["lease"], Err("want NAME=VALUE; names are lease, session-idle"));
        check(&["lease=1s", "lease=1s"], Err("lease is given twice"));
        check(
            &["argon2=m=8"],
            Err("\"argon2\" is not a setting that all servers share; those are"),
        );
        for pair in ["sessions=store", "sessions=redis://:secret@10.0.0.1/0"] {
            check(&[pair], Err("stop every server"));
            let error = wanted([pair].into_iter()).unwrap_err().to_string();
            assert!(!error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn what_is_wanted_is_written_once_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let store = &Spy::in_directory(directory.path());
        let write = |text: &str| write(store, &values(text), PER_USER);
        let change = |name: &str, from: &str, to: &str| Change {
            name: name.to_owned(),
            from: from.to_owned(),
            to: to.to_owned(),
        };
        let expected = vec![change("lease", "250ms (default)", "1s")];
        assert_eq!(write("lease=1000ms").unwrap(), Written { revision: 1, changes: expected });
        assert_eq!(store.deployment(soon()).unwrap().settings, "lease=1s\n");
        // The same in other words.
        assert_eq!(write("lease=1s").unwrap(), Written { revision: 1, changes: vec![] });
        let expected =
            vec![change("lease", "1s", "2s"), change("throttle-free", "20 (default)", "9")];
        assert_eq!(
            write("throttle-free=9\nlease=2s").unwrap(),
            Written { revision: 2, changes: expected }
        );
        // With the lease that is there, and with the default of what is not.
        for (text, words) in [("session-idle=7s", "session-idle"), ("lease=6s", "lease")] {
            let error = write(text).unwrap_err();
            assert!(error.is::<Unsettable>(), "{error}");
            assert!(error.to_string().contains(words), "{error}");
        }
        assert_eq!(store.deployment(soon()).unwrap().revision, 2);
    }

    fn row(node: u16, serves: bool, revision: u64) -> ServerRow {
        let tag = [u8::try_from(node).unwrap(); 16];
        ServerRow {
            node,
            run: tag,
            instance: tag,
            serves,
            ids_until_ms: 0,
            lease_ms: 250,
            revision,
            host: "far\u{1b}away".to_owned(),
            version: "0.1.0".to_owned(),
            redis: String::new(),
            about: "peppers 1; token keys 1".to_owned(),
        }
    }

    #[test]
    fn who_does_not_follow_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let store = &Spy::in_directory(directory.path());
        let wait = |revision| wait_until_followed(store, revision, clock::now());
        assert_eq!(wait(3).unwrap(), 0);
        // A command goes by nothing.
        for row in [row(33, true, 3), row(34, true, 2), row(35, false, 0)] {
            assert!(store.take_node(None, &row, soon()).unwrap());
        }
        let error = wait(3).unwrap_err().to_string();
        assert!(error.contains("go by it yet: far\\u{1b}away (1.2); `auth_back"), "{error}");
        assert_eq!(wait(2).unwrap(), 2);
        assert!(store.renew_node(&row(34, true, 4), soon()).unwrap());
        assert_eq!(wait(3).unwrap(), 2);
    }

    #[test]
    fn a_server_is_shown_in_a_few_lines() {
        let check = |row: ServerRow, in_redis: bool, expected: &[&str]| {
            let listed = ListedServer { row, renewed_ms: 1_000 };
            assert_eq!(lines(&listed, 3_900, 3, in_redis), expected);
        };
        let keys = "  peppers 1; token keys 1";
        let server = "server 1.1 on far\\u{1b}away, version 0.1.0, seen 2 s ago";
        let newest = "  goes by revision 3, the newest; lease 250 ms; no Redis";
        check(row(33, true, 3), false, &[server, newest, keys]);
        let older = "  goes by revision 2, NOT the newest; lease 250 ms; Redis not reached";
        check(row(33, true, 2), true, &[server, older, keys]);
        let with_redis = ServerRow { redis: "0123456789abcdef".to_owned(), ..row(33, true, 0) };
        let starts = "  has not read the settings yet; lease 250 ms; Redis 01234567";
        check(with_redis, true, &[server, starts, keys]);
        let command = "command 1.3 on far\\u{1b}away, version 0.1.0, seen 2 s ago";
        check(row(35, false, 0), false, &[command]);
    }

    #[test]
    fn settings_of_a_later_release_stay() {
        let directory = tempfile::tempdir().unwrap();
        let store = &Spy::in_directory(directory.path());
        assert!(store.change_deployment(0, "lease=1s\nusernames=any\n", soon()).unwrap());
        write(store, &values("lease=2s"), PER_USER).unwrap();
        assert_eq!(store.deployment(soon()).unwrap().settings, "lease=2s\nusernames=any\n");
    }
}
