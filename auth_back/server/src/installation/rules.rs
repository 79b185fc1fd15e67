//! The rules of sessions as the store has them now, and how a server comes to go by them. What they are, and how all
//! who keep sessions learn of them, stands in [`sessions`].
//!
//! # Leases while they change
//!
//! Whoever ends a session waits until no front can have a lease any more that was given before, by any server. A server
//! that gave longer leases than another one waits for would break that. So:
//!
//! - A server says in its row of the store by which settings it goes, and how long the leases are that it gives, before
//!   it gives them. It waits for those of every row, too.
//! - It gives longer ones when every other server has said that it goes by the same settings.
//! - It gives shorter ones at once, and says the longer ones until they have run out. It waits for the longer ones until
//!   every other server has said that it goes by the new settings.
//! - Whoever has not renewed its row for [`RULES_FRESH_FOR`] gives none, and waits for the longest that there are.
//!
//! A server that starts has its row, of no settings, before it reads them.

use std::time::{Duration, Instant};

use sessions::limits::LEASE_MARGIN;
use sessions::{Learned, Seen};
use store::{ListedServer, ServerRow, Servers, Store, StoreError, Tag};

use crate::limits::{RULES_ASK_TIME_MAX, RULES_FRESH_FOR};
use crate::settings::{SharedRules, SharedValues};

/// Asks the store; none if it does not answer.
pub fn look(store: &dyn Store) -> Option<Seen> {
    let deadline = clock::now() + RULES_ASK_TIME_MAX;
    let ask =
        || -> Result<_, StoreError> { Ok((store.deployment(deadline)?, store.servers(deadline)?)) };
    let (deployment, servers) = ask().ok()?;
    let (rules, _) = SharedValues::parse(&deployment.settings).check(1).ok()?;
    let others = longest_lease(&servers, None);
    Some(Seen {
        outstanding: rules.sessions.lease.max(others),
        in_redis: rules.in_redis || has_redis(&servers, None),
    })
}

/// The longest lease that a front may have of any server but the run `but`.
fn longest_lease(servers: &Servers, but: Option<Tag>) -> Duration {
    // Also of those that have stopped a moment ago.
    let lately = servers.listed.iter().filter(|listed| listed.was_live(servers.now_ms));
    let others = lately.filter(|listed| Some(listed.row.run) != but);
    let longest = others.map(|listed| listed.row.lease_ms).max().unwrap_or(0);
    Duration::from_millis(longest.into())
}

fn has_redis(servers: &Servers, but: Option<Tag>) -> bool {
    let mut others = servers.live().filter(|listed| Some(listed.row.run) != but);
    others.any(|listed| !listed.row.redis.is_empty())
}

/// A server's own way from the rules that it goes by to those that the store has.
#[derive(Clone, Debug)]
pub struct Follower {
    /// Its own run.
    run: Tag,
    /// The settings that it goes by.
    revision: u64,
    rules: SharedRules,
    /// The lease that it gives.
    granted: Duration,
    /// The longest of earlier settings that another server may still go by.
    before: Duration,
    /// A longer one that it gave, and when the last of those has run out.
    given: Option<(Duration, Instant)>,
}

impl Follower {
    /// Of a server that has given no lease yet.
    #[must_use]
    pub fn new(run: Tag, revision: u64, rules: SharedRules) -> Self {
        Self { run, revision, rules, granted: Duration::ZERO, before: Duration::ZERO, given: None }
    }

    /// The same, where fronts may have leases so long of its last run.
    #[must_use]
    pub fn inheriting(self, lease: Duration, now: Instant) -> Self {
        Self { given: Some((lease, now + lease + LEASE_MARGIN)), ..self }
    }

    /// Its row is of this run from now on.
    pub fn runs_as(&mut self, run: Tag) {
        self.run = run;
    }

    /// Goes by these from now on.
    pub fn follow(&mut self, revision: u64, rules: SharedRules) {
        if revision != self.revision {
            self.before = self.before.max(self.rules.sessions.lease);
        }
        self.revision = revision;
        self.rules = rules;
    }

    /// The rules that it goes by.
    #[must_use]
    pub fn rules(&self) -> &SharedRules {
        &self.rules
    }

    /// Whether that row is its own.
    #[must_use]
    pub fn is(&self, row: &ServerRow) -> bool {
        row.run == self.run
    }

    /// The revision that it goes by.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// The longest lease that a front may have from this server, now and until it says another: what its row says.
    #[must_use]
    pub fn says_lease(&self, now: Instant) -> Duration {
        let given = self.given.filter(|(_, until)| now < *until);
        let given = given.map_or(Duration::ZERO, |(lease, _)| lease);
        self.rules.sessions.lease.max(self.granted).max(given)
    }

    /// What holds after the store has shown `servers`, this one among them, when it was asked at `asked_at`.
    pub fn learn(&mut self, servers: &Servers, asked_at: Instant, now: Instant) -> Learned {
        let agreed = self.rules.sessions.lease;
        if agreed <= self.granted {
            if agreed < self.granted {
                let before = self.says_lease(now);
                self.given = Some((before, now + before + LEASE_MARGIN));
            }
            self.granted = agreed;
        } else if self.may_give(agreed, servers) {
            self.granted = agreed;
        }
        if self.others(servers).all(|other| other.row.revision >= self.revision) {
            self.before = Duration::ZERO;
        }
        let others = longest_lease(servers, Some(self.run));
        Learned {
            rules: self.rules.sessions,
            granted: self.granted,
            outstanding: self.says_lease(now).max(self.before).max(others),
            in_redis: self.rules.in_redis || has_redis(servers, Some(self.run)),
            fresh_until: asked_at + self.fresh_for(servers),
        }
    }

    /// How long this server may go by what it sees. Its row has to count until the last lease has run out that it gives
    /// meanwhile, so that counts from when it was renewed.
    fn fresh_for(&self, servers: &Servers) -> Duration {
        let own = servers.live().find(|listed| listed.row.run == self.run);
        let age = own.map(|own| Duration::from_millis(servers.now_ms.abs_diff(own.renewed_ms)));
        age.map_or(Duration::ZERO, |age| RULES_FRESH_FOR.saturating_sub(age))
    }

    /// Whether everybody knows that this server gives leases so long.
    fn may_give(&self, lease: Duration, servers: &Servers) -> bool {
        let says = |lease_ms: u32| Duration::from_millis(lease_ms.into());
        let mut own = servers.live().filter(|listed| listed.row.run == self.run);
        let is_said =
            own.any(|own| own.row.revision == self.revision && says(own.row.lease_ms) >= lease);
        is_said && self.others(servers).all(|other| other.row.revision == self.revision)
    }

    /// The other servers that live.
    fn others<'s>(&self, servers: &'s Servers) -> impl Iterator<Item = &'s ListedServer> + use<'s> {
        let run = self.run;
        servers.live().filter(move |listed| listed.row.serves && listed.row.run != run)
    }
}

#[cfg(test)]
mod tests;
