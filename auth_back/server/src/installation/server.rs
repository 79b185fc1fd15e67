//! A server among others: it joins them, and goes by what all of them do.

use std::error::Error;
use std::sync::Arc;
use std::time::Instant;

use guard::GuardNumbers;
use parking_lot::Mutex;
use server_time::ServerTime;
use service::rare;
use sessions::LiveRules;
use store::{ListedServer, Servers, Store, StoreError, Tag};
use unix_time::millis;

use super::deployment::{DeploymentFault, agree};
use super::keeper::Member;
use super::rules::Follower;
use crate::limits::{OTHER_REDIS_TIME_MAX, STORE_CALL_TIME_MAX};
use crate::node::{Holder, Identity, NodeError, Renewed, Says};
use crate::settings::{Shared, SharedValues};

/// A server that has its node and knows what all do.
pub struct Joined {
    /// Its node.
    pub holder: Holder,
    /// The rules of sessions, as they change.
    pub rules: LiveRules,
    /// How many guesses there may be.
    pub guesses: GuardNumbers,
    /// The way to what changes.
    pub follower: Follower,
    store: Arc<dyn Store>,
    per_user: u32,
}

/// Takes a node, brings the settings together, and tells the others. Blocks for some calls of the store, and longer where
/// another server may live that goes by other settings.
///
/// # Errors
/// [`NodeError`], [`DeploymentFault`], [`StoreError`].
pub fn join(
    store: &Arc<dyn Store>,
    time: &ServerTime,
    identity: &Arc<Identity>,
    shared: &Shared,
    per_user: u32,
) -> Result<Joined, Box<dyn Error>> {
    let soon = || clock::now() + STORE_CALL_TIME_MAX;
    let now = || time.now().to_system_time();
    let (of, who) = (Arc::clone(store), Arc::clone(identity));
    let mut holder = Holder::take(of, who, Says::default(), now(), soon())?;
    let mut follower = match agree(&**store, holder.run(), shared, per_user) {
        Ok(follower) => follower.inheriting(holder.inherited_lease(), clock::now()),
        Err(fault) => {
            // Why it is not free at once matters to nobody.
            let _ = holder.release(soon());
            return Err(fault.into());
        }
    };
    let said = says(&follower, String::new(), String::new());
    if let Renewed::Moved { .. } = holder.renew(said, now(), soon())? {
        follower.runs_as(holder.run());
    }
    // Once more, now that others wait for this server: before, they may have taken it for one that is gone.
    let row = store.deployment(soon())?;
    if row.revision != follower.revision() {
        let (rules, _) = SharedValues::parse(&row.settings)
            .check(per_user)
            .map_err(DeploymentFault::NotAllowed)?;
        follower.follow(row.revision, rules);
    }
    let asked_at = clock::now();
    let servers = store.servers(soon())?;
    let learned = follower.learn(&servers, asked_at, clock::now());
    let (rules, guesses) = (LiveRules::published(learned), follower.rules().guesses);
    Ok(Joined { holder, rules, guesses, follower, store: Arc::clone(store), per_user })
}

fn says(follower: &Follower, redis: String, about: String) -> Says {
    let lease_ms = millis(follower.says_lease(clock::now())).try_into().unwrap_or(u32::MAX);
    Says { lease_ms, revision: follower.revision(), redis, about }
}

/// Why a server cannot do as the others do, if so. Clones see the same.
#[derive(Clone, Debug, Default)]
pub struct Standing(Arc<Mutex<Option<String>>>);

impl Standing {
    /// Whether it can.
    ///
    /// # Errors
    /// Why not, in words without quotation marks.
    pub fn check(&self) -> Result<(), String> {
        self.0.lock().clone().map_or(Ok(()), Err)
    }
}

/// The server as the others see it.
pub struct ServerMember {
    store: Arc<dyn Store>,
    per_user: u32,
    follower: Follower,
    rules: LiveRules,
    view: Arc<dyn View>,
    /// The run of Redis, as it was seen last.
    redis_run: String,
    other_redis_since: Option<Instant>,
    standing: Standing,
}

/// What a server tells the others of itself, and what it does with what it learns.
pub trait View: Send + Sync {
    /// What operators want to know of it. Does not block.
    fn about(&self) -> String;

    /// The run of its Redis; none if it has no Redis, empty if that does not answer. Blocks a little.
    fn redis_run(&self) -> Option<String>;

    /// Lets there be so many guesses.
    fn follow(&self, guesses: GuardNumbers);
}

impl ServerMember {
    /// A server that has joined, as `view` shows it.
    #[must_use]
    pub fn new(joined: &Joined, view: Arc<dyn View>) -> Self {
        Self {
            store: Arc::clone(&joined.store),
            per_user: joined.per_user,
            follower: joined.follower.clone(),
            rules: joined.rules.clone(),
            view,
            redis_run: String::new(),
            other_redis_since: None,
            standing: Standing::default(),
        }
    }

    /// Whether it can do as the others do.
    #[must_use]
    pub fn standing(&self) -> Standing {
        self.standing.clone()
    }

    /// Goes by the settings that the store has.
    fn follow(&mut self, deadline: Instant) -> Result<Result<(), String>, StoreError> {
        let row = self.store.deployment(deadline)?;
        if row.revision == self.follower.revision() {
            return Ok(Ok(()));
        }
        let values = SharedValues::parse(&row.settings);
        let rules = match values.check(self.per_user) {
            Ok((rules, _)) => rules,
            Err(error) => {
                return Ok(Err(format!("it takes no such setting of the database: {error}")));
            }
        };
        rare!("once a change of settings", INFO, revision = row.revision, settings = ?values.to_text(), "settings of the database were changed");
        self.follower.follow(row.revision, rules);
        self.view.follow(rules.guesses);
        Ok(Ok(()))
    }

    /// A server that has another Redis than this one, if more have that than this one's; of as many, if one of them has the
    /// first node.
    fn of_more_with_another_redis<'s>(&self, servers: &'s Servers) -> Option<&'s ListedServer> {
        let is_other = |listed: &&ListedServer| !self.follower.is(&listed.row);
        // How many others have it, and the first node of them.
        let having = |run: &str| -> (usize, Option<u16>) {
            let others = servers.live().filter(is_other);
            let having = others.filter(|listed| listed.row.redis == run);
            // By node: the first comes first.
            let nodes: Vec<_> = having.map(|listed| listed.row.node).collect();
            (nodes.len(), nodes.first().copied())
        };
        let own = servers.live().find(|listed| self.follower.is(&listed.row))?.row.node;
        let (ours, first_of_ours) = having(&self.redis_run);
        let (ours, first_of_ours) = (ours + 1, first_of_ours.map_or(own, |first| first.min(own)));
        servers.live().filter(is_other).find(|other| {
            let theirs = &other.row.redis;
            let is_another =
                !self.redis_run.is_empty() && !theirs.is_empty() && *theirs != self.redis_run;
            let (count, first) = having(theirs);
            is_another && (count > ours || count == ours && first < Some(first_of_ours))
        })
    }

    /// Whether the others have the Redis that this one has.
    fn compare_redis(&mut self, servers: &Servers) -> Result<(), String> {
        let Some(run) = self.view.redis_run() else {
            return match self.follower.rules().in_redis {
                true => Err(
                    "sessions have a copy in Redis, and this server has none: give it --sessions"
                        .to_owned(),
                ),
                false => Ok(()),
            };
        };
        self.redis_run = run.chars().take(64).collect();
        // One that is away is no other.
        let Some(other) = self.of_more_with_another_redis(servers) else {
            self.other_redis_since = None;
            return Ok(());
        };
        let since = *self.other_redis_since.get_or_insert_with(clock::now);
        if clock::since(since) < OTHER_REDIS_TIME_MAX {
            return Ok(());
        }
        let (ours, theirs, host) = (&self.redis_run, &other.row.redis, &other.row.host);
        Err(format!(
            "its Redis is another one (run {ours}) than that of the server on {host} (run {theirs}): give both the same --sessions"
        ))
    }
}

impl Member for ServerMember {
    fn says(&self) -> Says {
        says(&self.follower, self.redis_run.clone(), self.view.about().chars().take(255).collect())
    }

    fn learn(&mut self, run: Tag, deadline: Instant) -> Result<(), StoreError> {
        self.follower.runs_as(run);
        let asked_at = clock::now();
        let followed = self.follow(deadline)?;
        let servers = self.store.servers(deadline)?;
        self.rules.publish(self.follower.learn(&servers, asked_at, clock::now()));
        let standing = followed.and(self.compare_redis(&servers));
        *self.standing.0.lock() = standing.err();
        Ok(())
    }

    fn failed(&mut self, error: &NodeError) {
        // What the store does is said elsewhere, and one that takes no writes is read from all the same.
        if !matches!(error, NodeError::Store(StoreError::Unavailable(_))) {
            *self.standing.0.lock() = Some(format!("it makes no ids: {error}"));
        }
    }
}

#[cfg(test)]
mod tests;
