//! What a store knows of the processes that work on it, and of what they have to do alike.

use std::time::{Duration, Instant};

use super::StoreError;
use super::limits::SERVER_LEASE;

/// A row of 16 bytes that tells one from another.
pub type Tag = [u8; 16];

/// What a process that holds a node says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerRow {
    /// The node that it makes ids under, 0 to 1023.
    pub node: u16,
    /// Drawn by the process.
    pub run: Tag,
    /// The same after a restart.
    pub instance: Tag,
    /// Whether it is a server, and no operator's command.
    pub serves: bool,
    /// No id of this node has a later time, in milliseconds since 1970, UTC.
    pub ids_until_ms: u64,
    /// The longest lease that a front may have from it, in milliseconds.
    pub lease_ms: u32,
    /// The revision of the deployment's settings that it goes by.
    pub revision: u64,
    /// The machine's name, at most 255 characters.
    pub host: String,
    /// The program's version, at most 64 characters.
    pub version: String,
    /// The run of the Redis that its sessions have a copy in, at most 64 characters; empty for none.
    pub redis: String,
    /// What operators want to know, at most 255 characters.
    pub about: String,
}

/// A [`ServerRow`] as the store has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedServer {
    /// What it says.
    pub row: ServerRow,
    /// When it said so last, by the store's clock, or when it gave its node back.
    pub renewed_ms: u64,
}

/// The run of a node that was given back.
pub const NO_RUN: Tag = [0; 16];

impl ListedServer {
    /// Whether the node is its own at `now_ms`, by the store's clock.
    #[must_use]
    pub fn is_live(&self, now_ms: u64) -> bool {
        self.row.run != NO_RUN && self.was_live(now_ms)
    }

    /// Whether the node was its own a moment before `now_ms`, so that leases of it may still run. A row from the future is
    /// of a clock that was put back: who lives renews it within a second.
    #[must_use]
    pub fn was_live(&self, now_ms: u64) -> bool {
        Duration::from_millis(now_ms.abs_diff(self.renewed_ms)) < SERVER_LEASE
    }
}

/// Every node that was ever taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Servers {
    /// The store's clock, in milliseconds since 1970, UTC.
    pub now_ms: u64,
    /// By node.
    pub listed: Vec<ListedServer>,
}

impl Servers {
    /// Those that hold their nodes.
    pub fn live(&self) -> impl Iterator<Item = &ListedServer> {
        self.listed.iter().filter(|listed| listed.is_live(self.now_ms))
    }
}

/// What all servers do alike.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeploymentRow {
    /// Counts the changes.
    pub revision: u64,
    /// A line `name=value` for each, at most 4,096 characters in all.
    pub settings: String,
}

/// Several processes on one [`Store`](super::Store), which says what holds for every call.
pub trait Installation {
    /// Which processes hold which nodes, and the store's time.
    ///
    /// # Errors
    ///
    /// [`StoreError::Corrupt`] if a row cannot be read.
    fn servers(&self, deadline: Instant) -> Result<Servers, StoreError>;

    /// Takes the node of `row` if it is still as it was `seen`; none where there was no row. Of any number of callers one
    /// gets true.
    ///
    /// # Errors
    ///
    /// [`StoreError::Internal`] if a value does not fit its column.
    fn take_node(
        &self,
        seen: Option<&ListedServer>,
        row: &ServerRow,
        deadline: Instant,
    ) -> Result<bool, StoreError>;

    /// Says again what `row` says, as of now. False if another run has the node, or ids were made under it for later
    /// times than `row` says.
    ///
    /// # Errors
    ///
    /// [`StoreError::Internal`] if a value does not fit its column.
    fn renew_node(&self, row: &ServerRow, deadline: Instant) -> Result<bool, StoreError>;

    /// Gives a node back that this run has used up to `ids_until_ms`. Of its row the lease stays. False if another run
    /// has it.
    ///
    /// # Errors
    ///
    /// See [`Store`](super::Store).
    fn release_node(
        &self,
        node: u16,
        run: &Tag,
        ids_until_ms: u64,
        deadline: Instant,
    ) -> Result<bool, StoreError>;

    /// Frees all nodes, those included that nobody ever took. Whoever takes one makes ids behind `ids_until_ms`, and behind
    /// what the node had before. `run` is nobody's: who holds a node loses it, and takes another.
    ///
    /// # Errors
    ///
    /// [`StoreError::Internal`] if the time does not fit its column.
    fn free_all_nodes(
        &self,
        run: &Tag,
        ids_until_ms: u64,
        deadline: Instant,
    ) -> Result<(), StoreError>;

    /// What all servers do alike.
    ///
    /// # Errors
    ///
    /// [`StoreError::Corrupt`] if the row is missing.
    fn deployment(&self, deadline: Instant) -> Result<DeploymentRow, StoreError>;

    /// Writes the settings as the revision after `revision`, if that is still the one. Returns whether it was. When this
    /// returns true, the change is durable.
    ///
    /// # Errors
    ///
    /// [`StoreError::Internal`] if the text does not fit its column.
    fn change_deployment(
        &self,
        revision: u64,
        settings: &str,
        deadline: Instant,
    ) -> Result<bool, StoreError>;
}
