//! The node of ids that a command has as long as it runs.

use std::error::Error;
use std::sync::Arc;

use credentials::ids::{Snowflake, SnowflakeError};
use server::installation::{Guest, Keeper};
use server::limits::{NODE_RELEASE_TIME_MAX, NODE_RENEW_RETRY};
use server::node::{Holder, Identity, Ids, Instance, Says};
use server_time::ServerTime;
use store::Store;

use super::interrupt;
use super::store_access::store_deadline;
use crate::limits::COMMAND_STORE_PATIENCE;

/// A node of ids. Given back when this is dropped.
pub(super) struct CommandNode {
    ids: Arc<Ids>,
    keeper: Option<Keeper>,
}

impl CommandNode {
    /// Takes one. Blocks for some calls of the store.
    pub(super) fn take(
        store: &Arc<dyn Store>,
        time: &Arc<ServerTime>,
    ) -> Result<Self, Box<dyn Error>> {
        let identity = Identity { instance: Instance::of_nobody()?, serves: false, wish: None };
        let holder = Holder::take(
            Arc::clone(store),
            Arc::new(identity),
            Says::default(),
            time.now().to_system_time(),
            store_deadline(),
        )?;
        let ids = holder.ids();
        Ok(Self { ids, keeper: Some(Keeper::start(holder, Guest, Arc::clone(time))?) })
    }

    /// The ids that are made under it.
    pub(super) fn ids(&self) -> Arc<Ids> {
        Arc::clone(&self.ids)
    }
}

/// The next id. Waits for a while where the store has been away for so long that none may be made.
pub(super) fn next_id(ids: &Ids, time: &ServerTime) -> Result<Snowflake, SnowflakeError> {
    let deadline = clock::now() + COMMAND_STORE_PATIENCE;
    loop {
        match ids.next(time.now().to_system_time()) {
            Err(SnowflakeError::NotReserved)
                if clock::now() < deadline && interrupt::signal().is_none() =>
            {
                interrupt::sleep(NODE_RENEW_RETRY);
            }
            next => return next,
        }
    }
}

impl Drop for CommandNode {
    fn drop(&mut self) {
        if let Some(keeper) = self.keeper.take() {
            keeper.end_by(clock::now() + NODE_RELEASE_TIME_MAX * 2);
        }
    }
}
