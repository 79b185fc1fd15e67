//! What all servers do alike: the settings that stand in the store, and a start that was given others.

use std::fmt;
use std::thread;
use std::time::Instant;

use service::rare;
use service::settings::SettingErrors;
use store::{ListedServer, Store, StoreError, Tag};

use super::Follower;
use crate::limits::{
    DEPLOYMENT_TRIES_MAX, RIVAL_LOOK_INTERVAL, RIVAL_TIME_MAX, STORE_CALL_TIME_MAX,
};
use crate::settings::shared::SESSIONS;
use crate::settings::{Shared, SharedRules, SharedValues};

/// A setting that is one here and another in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Differing {
    /// Its name.
    pub name: String,
    /// What it is here.
    pub here: String,
    /// What it is in the store.
    pub there: String,
}

impl fmt::Display for Differing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, here, there } = self;
        write!(f, "--{name} is {here} here and {there} in the database")
    }
}

/// Why a server cannot do as the others do. Whoever started it has to decide.
#[derive(Debug, thiserror::Error)]
pub enum DeploymentFault {
    /// It was given other settings than those that live.
    #[error(
        "{}, where the server on {host} goes by it: leave the setting out here to go by the database, or \
         change it for all with `auth_back deployment set`{}",
        list(differing),
        if differing.iter().any(|one| one.name == SESSIONS) {
            "; whether sessions are in Redis changes only while no other server runs"
        } else {
            ""
        }
    )]
    Differs {
        /// What differs.
        differing: Vec<Differing>,
        /// Where another server runs.
        host: String,
    },
    /// The others have a Redis, and this one was given none.
    #[error(
        "sessions of this database have a copy in Redis, and this server was given none: give it --sessions \
         redis://… as the others have it, or --sessions store while no other server runs"
    )]
    LacksRedis,
    /// This program takes no such value.
    #[error(
        "a setting in the database is not allowed: {0}. Change it with `auth_back deployment set`"
    )]
    NotAllowed(SettingErrors),
    /// Others write the settings again and again.
    #[error("the settings in the database change all the time; try again")]
    Contended,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn list(differing: &[Differing]) -> String {
    differing.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// What a server does about what it was given and what the store has.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    /// It goes by the store.
    Follow,
    /// It writes these, if no other server lives; they differ where that is told.
    Write(SharedValues, Vec<Differing>),
    /// It cannot.
    LacksRedis,
}

/// What to do where the store has `there`.
fn compare(shared: &Shared, there: &SharedValues) -> Step {
    let lacks_redis = shared.given.get(SESSIONS).is_none() && there.get(SESSIONS) == Some("redis");
    if lacks_redis {
        return Step::LacksRedis;
    }
    let differing: Vec<_> = shared
        .given
        .iter()
        .filter_map(|(name, here)| {
            let there = there.get(name).filter(|there| *there != here)?;
            Some(Differing {
                name: name.to_owned(),
                here: here.to_owned(),
                there: there.to_owned(),
            })
        })
        .collect();
    let all = shared.given.over(&there.over(&shared.own));
    if all == *there { Step::Follow } else { Step::Write(all, differing) }
}

/// Brings what a server was given and what the store has together, and returns what it goes by from now on. Blocks for
/// some calls of the store, and while it looks whether another server lives, [`RIVAL_TIME_MAX`] at the most.
///
/// # Errors
/// [`DeploymentFault`].
pub fn agree(
    store: &dyn Store,
    run: Tag,
    shared: &Shared,
    per_user: u32,
) -> Result<Follower, DeploymentFault> {
    let check = |values: &SharedValues| values.check(per_user).map_err(DeploymentFault::NotAllowed);
    for _ in 0..DEPLOYMENT_TRIES_MAX {
        let row = store.deployment(soon())?;
        let (all, differing) = match compare(shared, &SharedValues::parse(&row.settings)) {
            Step::LacksRedis => return Err(DeploymentFault::LacksRedis),
            Step::Follow => {
                let (rules, _) = check(&SharedValues::parse(&row.settings))?;
                return Ok(Follower::new(run, row.revision, rules));
            }
            Step::Write(all, differing) => (all, differing),
        };
        if !differing.is_empty()
            && let Some(rival) = rival(store, run)?
        {
            return Err(DeploymentFault::Differs { differing, host: rival.row.host });
        }
        let (rules, texts) = check(&all)?;
        if change(store, row.revision, &texts, &differing)? {
            return Ok(Follower::new(run, row.revision + 1, rules));
        }
        // Somebody else has written them meanwhile.
    }
    Err(DeploymentFault::Contended)
}

/// Writes settings, and begins another generation of Redis where that changes.
fn change(
    store: &dyn Store,
    revision: u64,
    texts: &SharedValues,
    differing: &[Differing],
) -> Result<bool, StoreError> {
    // What is in Redis was not kept up to date while sessions were in the store alone.
    if differing.iter().any(|one| one.name == SESSIONS) {
        store.end_cache_era(soon())?;
    }
    if !store.change_deployment(revision, &texts.to_text(), soon())? {
        return Ok(false);
    }
    for Differing { name, here, there } in differing {
        rare!(
            "once a start",
            WARN,
            setting = name,
            from = there,
            to = here,
            "a setting in the database was changed for all servers, since no other one runs"
        );
    }
    Ok(true)
}

/// A server that serves beside this one. Looks until one has renewed its node, or none lives any more: it may have been
/// killed a moment ago.
fn rival(store: &dyn Store, run: Tag) -> Result<Option<ListedServer>, StoreError> {
    let others = || -> Result<Vec<ListedServer>, StoreError> {
        let servers = store.servers(soon())?;
        let serves = |listed: &&ListedServer| {
            // One that has not read the settings yet goes by what is written now.
            listed.row.serves && listed.row.run != run && listed.row.revision > 0
        };
        Ok(servers.live().filter(serves).cloned().collect())
    };
    let first = others()?;
    let give_up = clock::now() + RIVAL_TIME_MAX;
    let mut now = first.clone();
    while !now.is_empty() && clock::now() < give_up {
        let has_renewed = |one: &&ListedServer| {
            first
                .iter()
                .all(|seen| seen.row.run != one.row.run || seen.renewed_ms != one.renewed_ms)
        };
        if let Some(rival) = now.iter().find(has_renewed) {
            return Ok(Some(rival.clone()));
        }
        thread::sleep(RIVAL_LOOK_INTERVAL);
        now = others()?;
    }
    Ok(now.into_iter().next())
}

fn soon() -> Instant {
    clock::now() + STORE_CALL_TIME_MAX
}

/// The rules that the store has, for a process that goes by them whatever it was given; with what it was given and
/// differs. A store that has none yet has those that this process was given.
///
/// # Errors
/// [`DeploymentFault::NotAllowed`], [`DeploymentFault::Store`].
pub fn look(
    store: &dyn Store,
    shared: &Shared,
    per_user: u32,
) -> Result<(SharedRules, Vec<Differing>), DeploymentFault> {
    let row = store.deployment(soon())?;
    let there = SharedValues::parse(&row.settings);
    let differing = match compare(shared, &there) {
        Step::Write(_, differing) => differing,
        Step::Follow | Step::LacksRedis => Vec::new(),
    };
    let (rules, _) =
        there.over(&shared.own).check(per_user).map_err(DeploymentFault::NotAllowed)?;
    Ok((rules, differing))
}

#[cfg(test)]
mod tests;
