//! A node of ids that a process has to itself.
//!
//! The store lists who has which node. A process takes a free one by compare-and-swap and renews it once a second.
//! Whether one is free is decided by the store's clock alone.
//!
//! That no id comes twice does not hang on any clock. The list has for each node up to which time ids may have been made
//! under it. A process writes a time there first and then makes ids up to it; whoever has the node next begins behind
//! it. A process that was stopped for a while finds that its time is over before it makes an id.

mod instance;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use credentials::ids::{NodeId, Snowflake, SnowflakeError, Snowflakes};
use credentials::random;
use parking_lot::RwLock;
use service::sparing;
use sessions::limits::LEASE_MARGIN;
use store::{ListedServer, ServerRow, Servers, Store, StoreError, Tag};
use unix_time::{millis, unix_ms};

pub use self::instance::Instance;
use crate::limits::{NODE_AHEAD_MAX, NODE_STEP, NODE_TIME, NODE_TRIES_MAX};

/// Where ids come from: the node that this process has at the time.
#[derive(Debug)]
pub struct Ids(RwLock<Snowflakes>);

impl Ids {
    /// Ids under a node that nobody else has.
    #[must_use]
    pub fn new(of_node: Snowflakes) -> Self {
        Self(RwLock::new(of_node))
    }

    /// The next id; see [`Snowflakes::next`]. Does not block.
    ///
    /// # Errors
    /// [`SnowflakeError`]; [`SnowflakeError::NotReserved`] until the node is renewed.
    pub fn next(&self, now: SystemTime) -> Result<Snowflake, SnowflakeError> {
        self.0.read().next(now)
    }
}

/// What a process that takes a node says of itself as long as it runs.
#[derive(Debug)]
pub struct Identity {
    /// Which server it is.
    pub instance: Instance,
    /// Whether it is a server, and no operator's command.
    pub serves: bool,
    /// The node that it would like.
    pub wish: Option<NodeId>,
}

/// What changes of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Says {
    /// The longest lease that a front may have from it, in milliseconds.
    pub lease_ms: u32,
    /// The revision of the deployment's settings that it goes by.
    pub revision: u64,
    /// The run of the Redis that its sessions have a copy in; empty for none.
    pub redis: String,
    /// What operators want to know, at most 255 characters.
    pub about: String,
}

/// Why a process has no node.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// All are taken.
    #[error(
        "all {} nodes of ids are taken, or their ids are of times to come: is this machine's clock behind? \
         A node is free again ten seconds after its server has gone",
        NodeId::COUNT
    )]
    NoneFree,
    /// The store has none to give.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The system gives no random bytes.
    #[error("the system gives no random bytes")]
    NoChance,
}

/// A node that this process has.
pub struct Holder {
    store: Arc<dyn Store>,
    /// Locked as long as this lives.
    _identity: Arc<Identity>,
    row: ServerRow,
    ids: Arc<Ids>,
    /// The longest lease that a front may still have of whoever had the node before, and until when.
    inherited: (u32, Instant),
}

/// What came of saying that the node is still held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renewed {
    /// It is.
    Kept,
    /// Somebody else has it, and this process has another.
    Moved {
        /// The node from before.
        from: NodeId,
        /// The one that it has now.
        to: NodeId,
    },
}

impl Holder {
    /// Takes a node. Blocks for some calls of the store.
    ///
    /// # Errors
    /// [`NodeError`].
    pub fn take(
        store: Arc<dyn Store>,
        identity: Arc<Identity>,
        says: Says,
        now: SystemTime,
        deadline: Instant,
    ) -> Result<Self, NodeError> {
        let run = random::bytes().map_err(|_| NodeError::NoChance)?;
        let draft = ServerRow {
            node: 0,
            run,
            instance: identity.instance.tag,
            serves: identity.serves,
            ids_until_ms: 0,
            lease_ms: says.lease_ms,
            revision: says.revision,
            host: host(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            redis: says.redis,
            about: says.about,
        };
        let own = Some(identity.instance.tag);
        let (row, ids) = take(&*store, &draft, own, identity.wish, now, deadline)?;
        let inherited = inherited(&row);
        Ok(Self { store, _identity: identity, row, ids: Arc::new(Ids::new(ids)), inherited })
    }

    /// The node.
    #[must_use]
    pub fn node(&self) -> NodeId {
        self.ids.0.read().node()
    }

    /// What tells this process from every other.
    #[must_use]
    pub fn run(&self) -> Tag {
        self.row.run
    }

    /// The longest lease that a front may still have of whoever had the node when it was taken: of this server, killed a
    /// moment ago.
    #[must_use]
    pub fn inherited_lease(&self) -> Duration {
        Duration::from_millis(self.inherited.0.into())
    }

    /// The ids that are made under it, and under its successors.
    #[must_use]
    pub fn ids(&self) -> Arc<Ids> {
        Arc::clone(&self.ids)
    }

    /// Says that it is still held, and lets ids be made for a while. Takes another node where somebody has taken this one
    /// meanwhile. Blocks for a call of the store, or some.
    ///
    /// # Errors
    /// [`NodeError`]. Ids are made as long as the last time lets.
    pub fn renew(
        &mut self,
        says: Says,
        now: SystemTime,
        deadline: Instant,
    ) -> Result<Renewed, NodeError> {
        let latest_ms = self.ids.0.read().latest_unix_ms();
        let (inherited_ms, inherited_until) = self.inherited;
        let inherited_ms = if clock::now() < inherited_until { inherited_ms } else { 0 };
        self.row = ServerRow {
            // Never less than before: a row that has more is of a machine that was set back to what it was once.
            ids_until_ms: until(unix_ms(now), latest_ms).max(self.row.ids_until_ms),
            lease_ms: says.lease_ms.max(inherited_ms),
            revision: says.revision,
            redis: says.redis,
            about: says.about,
            ..self.row.clone()
        };
        if self.store.renew_node(&self.row, deadline)? {
            self.ids.0.read().reserve(self.row.ids_until_ms);
            return Ok(Renewed::Kept);
        }
        let from = self.node();
        // Whoever has it may be the same instance, copied. Two that take it back from each other come to no end.
        let run = random::bytes().map_err(|_| NodeError::NoChance)?;
        let draft = ServerRow { run, instance: run, ..self.row.clone() };
        let (row, ids) = take(&*self.store, &draft, None, None, now, deadline)?;
        self.inherited = inherited(&row);
        self.row = row;
        *self.ids.0.write() = ids;
        Ok(Renewed::Moved { from, to: self.node() })
    }

    /// Gives the node back. No id may be made afterwards, and none is.
    ///
    /// # Errors
    /// [`StoreError`]: then it is free after a while.
    pub fn release(self, deadline: Instant) -> Result<(), StoreError> {
        let latest_ms = {
            let mut ids = self.ids.0.write();
            let (node, latest_ms) = (ids.node(), ids.latest_unix_ms());
            // Whoever still has them gets none.
            *ids = Snowflakes::behind(node, latest_ms);
            latest_ms
        };
        self.store.release_node(self.row.node, &self.row.run, latest_ms, deadline).map(drop)
    }
}

/// What a row says of leases that it was taken with, and until when they run.
fn inherited(row: &ServerRow) -> (u32, Instant) {
    let lease = Duration::from_millis(row.lease_ms.into());
    (row.lease_ms, clock::now() + lease + LEASE_MARGIN)
}

/// Takes a node for `draft`: the one that is wished for, or the one that the instance `own` has or had, or any.
fn take(
    store: &dyn Store,
    draft: &ServerRow,
    own: Option<Tag>,
    wish: Option<NodeId>,
    now: SystemTime,
    deadline: Instant,
) -> Result<(ServerRow, Snowflakes), NodeError> {
    let now_ms = unix_ms(now);
    for _ in 0..NODE_TRIES_MAX {
        let servers = store.servers(deadline)?;
        let choice = choose(&servers, own, wish, now_ms).ok_or(NodeError::NoneFree)?;
        if let Some(wish) = wish.filter(|wish| *wish != choice.node) {
            let holder = servers.live().find(|listed| listed.row.node == wish.number());
            let (host, instead) = (holder.map_or("", |listed| &listed.row.host), choice.node);
            match holder {
                Some(_) => {
                    sparing!(WARN, node = %wish, held_by = host, %instead, "the node of --node is another's");
                }
                None => {
                    sparing!(WARN, node = %wish, %instead, "the ids of the node of --node are of times to come");
                }
            }
        }
        let behind_ms = choice.seen.map_or(0, |seen| seen.row.ids_until_ms);
        // What others wait for must not be forgotten with the row.
        let had = choice.seen.filter(|seen| seen.was_live(servers.now_ms));
        let row = ServerRow {
            node: choice.node.number(),
            ids_until_ms: until(now_ms, behind_ms),
            lease_ms: draft.lease_ms.max(had.map_or(0, |had| had.row.lease_ms)),
            ..draft.clone()
        };
        if store.take_node(choice.seen, &row, deadline)? {
            let ids = Snowflakes::behind(choice.node, behind_ms);
            ids.reserve(row.ids_until_ms);
            return Ok((row, ids));
        }
        // Somebody was quicker.
    }
    Err(NodeError::NoneFree)
}

/// Up to which time ids may be made, in milliseconds since 1970: for a while from now on, and in any case some behind
/// the `latest` of before.
fn until(now_ms: u64, latest_ms: u64) -> u64 {
    (now_ms + millis(NODE_TIME)).max(latest_ms + millis(NODE_STEP))
}

/// A node that can be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Choice<'s> {
    node: NodeId,
    seen: Option<&'s ListedServer>,
}

/// Which node to take. A node whose ids are far ahead of `now_ms`, our own time, is left to those whose clock is.
fn choose(
    servers: &Servers,
    own: Option<Tag>,
    wish: Option<NodeId>,
    now_ms: u64,
) -> Option<Choice<'_>> {
    let by_node: HashMap<u16, &ListedServer> =
        servers.listed.iter().map(|listed| (listed.row.node, listed)).collect();
    let is_own = |listed: &ListedServer| own == Some(listed.row.instance);
    let free = |node: NodeId| {
        let seen = by_node.get(&node.number()).copied();
        let is_free = seen.is_none_or(|seen| {
            let is_held = seen.is_live(servers.now_ms) && !is_own(seen);
            !is_held && seen.row.ids_until_ms <= now_ms + millis(NODE_AHEAD_MAX)
        });
        is_free.then_some(Choice { node, seen })
    };
    let own_node = servers.listed.iter().find(|listed| is_own(listed));
    let own_node = own_node.and_then(|listed| NodeId::of_number(listed.row.node));
    // From the last one down: servers of release 0.1 use what their --node says without asking, and that is 0.0, 0.1 and so on.
    let any = (0..NodeId::COUNT).rev().filter_map(NodeId::of_number);
    wish.and_then(free)
        .or_else(|| own_node.and_then(free))
        .or_else(|| any.into_iter().find_map(free))
}

/// This machine's name.
fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().chars().take(255).collect()
}

#[cfg(test)]
mod tests;
