//! `auth_back restored`: to be run once after a database came back from a backup, before a server starts.
//!
//! A backup knows nothing of what came after it. Without this,
//!
//! - sessions that were ended since would be live again: every user's epoch is raised;
//! - numbers of generations would come again, and Redis be believed what it has from then: the next number is the
//!   time in milliseconds, which no generation can have had;
//! - ids would come again where a clock is behind, also under nodes that were first taken after the backup: all go on
//!   behind the present time.
//!
//! It may be run again. What else came back with the backup, it says as far as it can be seen.

use std::error::Error;

use clap::{ArgMatches, Command};
use credentials::ids::NodeId;
use credentials::{KeyId, KeySource, OnMissing, PepperKeyring, Ring, TokenKeyring, random};
use server::keyrings::register::{self, KeyFault};
use server::limits::NODE_AHEAD_MAX;
use server::settings::Settings;
use store::limits::SERVER_LEASE;
use store::{ListedServer, Servers, Store, StoreError, StoreUrl, backup};
use unix_time::{millis, rfc3339, unix_ms};

use super::backup::count;
use super::confirm::{self, confirm};
use super::console::{say, tell};
use super::interrupt;
use super::progress::{Progress, Unit};
use super::store_access::patiently;
use super::subcommand::{Done, Subcommand, Telling};
use crate::limits::{RESTORED_BATCH, RESTORED_CLOCKS_APART_MAX, RESTORED_LOOK_INTERVAL};

pub(super) const COMMAND: Subcommand = Subcommand { command, run, telling: |_| Telling::Before };

fn command() -> Command {
    Command::new("restored")
        .about(
            "After the database came back from a backup, before a server starts: end all sessions, and let no id \
             come again",
        )
        .arg(confirm::switch())
}

/// Whoever works on the store would go on with what it knew before. Has to be stopped first.
#[derive(Debug, thiserror::Error)]
#[error(
    "nothing was done: {what} on {host:?} works on this store (node {node}); stop all servers first"
)]
pub(super) struct StillRunning {
    what: &'static str,
    host: String,
    node: String,
}

impl StillRunning {
    fn new(listed: &ListedServer) -> Self {
        let node = NodeId::of_number(listed.row.node);
        Self {
            what: if listed.row.serves { "a server" } else { "a command" },
            host: listed.row.host.clone(),
            node: node.map_or_else(String::new, |node| node.to_string()),
        }
    }
}

/// No server starts with the keys that are there.
#[derive(Debug, thiserror::Error)]
#[error(
    "it is done, but no server starts before the keys named above are put right; then run this again"
)]
pub(super) struct KeysLacking;

fn run(arguments: &ArgMatches, settings: &Settings) -> Done {
    let store = super::store_access::open_store(settings)?;
    let store = &*store;
    let servers = until_nobody_runs(store)?;
    let traces = Traces::find(settings, store, &servers)?;
    traces.tell();
    let users = count(store)?;
    let time = rfc3339(clocks_agree(store)?);
    let what = format!(
        "this logs out all {users} users; their passwords are those of the backup. No id is made for an earlier time than \
         now: {time} by the clock of the database, which has to be right"
    );
    confirm(&what, arguments)?;
    // An operator may have taken a while to answer.
    if let Some(live) = look(store)?.live().next() {
        return Err(StillRunning::new(live).into());
    }
    interrupt::watch()?;
    // The generation after that: whatever a server has brought to Redis meanwhile is of the one before.
    end_all_sessions(store, users)?;
    forget_what_came_after(store)?;
    if let Some(live) = look(store)?.live().next() {
        let StillRunning { what, host, node } = StillRunning::new(live);
        return Err(format!(
            "it is done, but {what} on {host:?} (node {node}) was started meanwhile: stop it, and run this again"
        )
        .into());
    }
    if let StoreUrl::Sqlite(path) = &settings.store {
        backup::put_to_use(path)?;
    }
    say(&format!(
        "the sessions of {users} users have ended, Redis is not believed what it had, and ids go on behind the \
         present time"
    ))?;
    if !traces.keys.is_empty() {
        return Err(KeysLacking.into());
    }
    say("servers may start")?;
    Ok(())
}

fn look(store: &dyn Store) -> Result<Servers, StoreError> {
    patiently(|deadline| store.servers(deadline))
}

/// Returns what the store has of nodes when nobody holds one. Whoever held one when the backup was made is told from
/// those who run by waiting: who runs renews.
fn until_nobody_runs(store: &dyn Store) -> Result<Servers, Box<dyn Error>> {
    let first = look(store)?;
    let count = first.live().count();
    if count == 0 {
        return Ok(first);
    }
    let seconds = SERVER_LEASE.as_secs();
    tell(&format!(
        "waiting for up to {seconds} s to see whether {count} servers or commands still run, or did so when the \
         backup was made"
    ));
    let give_up = clock::now() + SERVER_LEASE * 2;
    loop {
        interrupt::sleep(RESTORED_LOOK_INTERVAL);
        let servers = look(store)?;
        let Some(seems_live) = servers.live().next() else { return Ok(first) };
        let renewed = servers.live().find(|live| !first.listed.contains(live));
        if renewed.is_some() || clock::now() >= give_up {
            return Err(StillRunning::new(renewed.unwrap_or(seems_live)).into());
        }
    }
}

/// What the store's clock says, if this machine's does not contradict it.
fn clocks_agree(store: &dyn Store) -> Result<u64, Box<dyn Error>> {
    Ok(one_time(look(store)?.now_ms, unix_ms(clock::wall()))?)
}

/// A clock that is wrong would keep every server from making ids until its time has come, or let ids come again. Which of
/// two is wrong is not known.
fn one_time(there_ms: u64, here_ms: u64) -> Result<u64, String> {
    if there_ms.abs_diff(here_ms) <= millis(RESTORED_CLOCKS_APART_MAX) {
        return Ok(there_ms);
    }
    let [there, here] = [there_ms, here_ms].map(rfc3339);
    Err(format!(
        "nothing was done: it is {there} by the clock of the database and {here} by that of this machine; set the one that \
         is wrong, and run this again"
    ))
}

/// Sees to it that no number comes again which was used after the backup: of ids, and of generations.
fn forget_what_came_after(store: &dyn Store) -> Done {
    let run = random::bytes()?;
    let now_ms = look(store)?.now_ms;
    // As far ahead as ids may have been for somebody to take their node.
    let ids_until_ms = now_ms + millis(NODE_AHEAD_MAX);
    patiently(|deadline| store.free_all_nodes(&run, ids_until_ms, deadline))?;
    patiently(|deadline| store.skip_cache_eras(now_ms, deadline))?;
    Ok(())
}

fn end_all_sessions(store: &dyn Store, users: u64) -> Done {
    let progress = Progress::new(Unit::Things("users"), Some(users));
    let (mut done, mut after) = (0, 0);
    loop {
        let range = patiently(|deadline| store.user_range(after, RESTORED_BATCH, deadline))?;
        let Some(last) = range.last else { return Ok(()) };
        patiently(|deadline| store.raise_session_epochs(after, last, deadline))?;
        (done, after) = (done + u64::from(range.count), last);
        progress.set(done);
        interrupt::check(|| {
            format!(
                "the sessions of {done} of {users} users have ended; run it again before a server starts"
            )
        })?;
    }
}

/// What came back with the backup, or did not, as far as it shows.
struct Traces {
    /// When somebody worked on the store last, in milliseconds since 1970, if that is known.
    latest_ms: Option<u64>,
    /// The revision of the settings of all servers, if there are any.
    revision: Option<u64>,
    /// Keys that do not fit the store: no server starts with them.
    keys: Vec<String>,
}

impl Traces {
    fn find(
        settings: &Settings,
        store: &dyn Store,
        servers: &Servers,
    ) -> Result<Self, Box<dyn Error>> {
        let renewed = servers.listed.iter().map(|listed| listed.renewed_ms);
        let deployment = patiently(|deadline| store.deployment(deadline))?;
        let mut keys = faults::<PepperKeyring>(&settings.pepper_keys, store)?;
        keys.extend(faults::<TokenKeyring>(&settings.token_keys, store)?);
        Ok(Self {
            latest_ms: renewed.max().filter(|at_ms| *at_ms > 0),
            revision: Some(deployment.revision).filter(|revision| *revision > 0),
            keys,
        })
    }

    fn tell(&self) {
        tell(
            "passwords, who is disabled and who is registered are as they were when the backup was made; docs/backup.md \
             says how to find what operators have changed since",
        );
        if let Some(revision) = self.revision {
            tell(&format!("so are the settings of all servers: revision {revision}"));
        }
        if let Some(at_ms) = self.latest_ms {
            tell(&format!(
                "the last sign of a server in the store is of {}: the backup was made then, or it has been served from since",
                rfc3339(at_ms)
            ));
        }
        for fault in &self.keys {
            tell(&format!("no server starts before this is mended: {fault}"));
        }
    }
}

/// What is wrong with keys, by the store's list.
fn faults<R: Ring>(source: &KeySource, store: &dyn Store) -> Result<Vec<String>, StoreError> {
    let list = register::list_of(R::PURPOSE);
    let rows = patiently(|deadline| store.keys(list, deadline))?;
    let ring = match source.load(R::PURPOSE, OnMissing::Refuse) {
        Ok(loaded) => R::from(loaded.keys),
        // A store that was never used has none.
        Err(_) if rows.is_empty() => return Ok(Vec::new()),
        Err(error) => return Ok(vec![error.to_string()]),
    };
    let values = ring.check_values();
    let fault = |id: KeyId, check_value| match values.iter().find(|(known, _)| *known == id) {
        None => Some(KeyFault::Missing(R::PURPOSE, id)),
        Some((_, value)) if *value != check_value => Some(KeyFault::Different(R::PURPOSE, id)),
        Some(_) => None,
    };
    let faults = rows.iter().filter_map(|row| match KeyId::new(row.id) {
        Some(id) => fault(id, row.check_value),
        None => Some(KeyFault::Zero(R::PURPOSE)),
    });
    Ok(faults.map(|fault| fault.to_string()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_clocks_that_differ_are_refused() {
        let (now_ms, apart_ms) = (1_790_000_000_000, millis(RESTORED_CLOCKS_APART_MAX));
        for here_ms in [now_ms - apart_ms, now_ms, now_ms + apart_ms] {
            assert_eq!(one_time(now_ms, here_ms), Ok(now_ms));
        }
        for here_ms in [now_ms - apart_ms - 1, now_ms + apart_ms + 1, 0] {
            let refused = one_time(now_ms, here_ms).unwrap_err();
            assert!(
                refused.contains("2026-09-21T14:13:20.000Z by the clock of the da"),
                "{refused}"
            );
        }
    }
}
