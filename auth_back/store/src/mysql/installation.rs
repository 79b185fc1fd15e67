//! Nodes, and what all servers do alike.

use std::time::Instant;

use ::mysql::Value;

use super::MySqlStore;
use super::query::Query;
use crate::fault::Kind;
use crate::rows::sql_integer;
use crate::{
    Cause, DeploymentRow, Installation, ListedServer, NO_RUN, ServerRow, Servers, Store as _,
    StoreError, Tag,
};

/// A row of `server`, in the order of [`Query::Servers`].
type Found = (u16, Vec<u8>, Vec<u8>, bool, u64, u64, u32, u64, String, String, String, String);

impl Installation for MySqlStore {
    fn servers(&self, deadline: Instant) -> Result<Servers, StoreError> {
        let now_ms = self.time(deadline)?;
        let rows: Vec<Found> =
            self.run(deadline, |connection| connection.all(Query::Servers, ()))?;
        let listed = rows.into_iter().map(listed).collect::<Result<_, _>>()?;
        Ok(Servers { now_ms, listed })
    }

    fn take_node(
        &self,
        seen: Option<&ListedServer>,
        row: &ServerRow,
        deadline: Instant,
    ) -> Result<bool, StoreError> {
        let ids_until_ms = sql_integer(row.ids_until_ms, "the time")?;
        let revision = sql_integer(row.revision, "the revision")?;
        let (host, version) = (&*row.host, &*row.version);
        let (redis, about) = (&*row.redis, &*row.about);
        self.run(deadline, |connection| {
            let Some(seen) = seen else {
                let inserted = connection.execute(
                    Query::InsertServer,
                    (
                        row.node,
                        &row.run[..],
                        &row.instance[..],
                        row.serves,
                        ids_until_ms,
                        row.lease_ms,
                        revision,
                        host,
                        version,
                        redis,
                        about,
                    ),
                );
                return match inserted {
                    Ok(_) => Ok(true),
                    Err(fault) if fault.kind() == Kind::Duplicate => Ok(false),
                    Err(fault) => Err(fault),
                };
            };
            // More than a tuple takes.
            let values: Vec<Value> = vec![
                row.run.into(),
                row.instance.into(),
                row.serves.into(),
                ids_until_ms.into(),
                row.lease_ms.into(),
                revision.into(),
                host.into(),
                version.into(),
                redis.into(),
                about.into(),
                row.node.into(),
                seen.row.run.into(),
                seen.renewed_ms.into(),
            ];
            let taken = connection.execute(Query::TakeServer, values)?;
            Ok(taken == 1)
        })
    }

    fn renew_node(&self, row: &ServerRow, deadline: Instant) -> Result<bool, StoreError> {
        let ids_until_ms = sql_integer(row.ids_until_ms, "the time")?;
        let revision = sql_integer(row.revision, "the revision")?;
        let renewed = self.run(deadline, |connection| {
            let (redis, about, run) = (&*row.redis, &*row.about, &row.run[..]);
            let until = ids_until_ms;
            let set = (until, row.lease_ms, revision, redis, about, row.node, run, until);
            connection.execute(Query::RenewServer, set)
        })?;
        Ok(renewed == 1)
    }

    fn release_node(
        &self,
        node: u16,
        run: &Tag,
        ids_until_ms: u64,
        deadline: Instant,
    ) -> Result<bool, StoreError> {
        let ids_until_ms = sql_integer(ids_until_ms, "the time")?;
        let released = self.run(deadline, |connection| {
            connection.execute(Query::ReleaseServer, (&NO_RUN[..], ids_until_ms, node, &run[..]))
        })?;
        Ok(released == 1)
    }

    fn free_all_nodes(
        &self,
        run: &Tag,
        ids_until_ms: u64,
        deadline: Instant,
    ) -> Result<(), StoreError> {
        let ids_until_ms = sql_integer(ids_until_ms, "the time")?;
        self.run(deadline, |connection| {
            let run = &run[..];
            let values = (run, run, ids_until_ms, run, ids_until_ms);
            connection.execute(Query::FreeAllServers, values).map(drop)
        })
    }

    fn deployment(&self, deadline: Instant) -> Result<DeploymentRow, StoreError> {
        let row = self.run(deadline, |connection| connection.first(Query::Deployment, ()))?;
        let row = row.map(|(revision, settings)| DeploymentRow { revision, settings });
        row.ok_or_else(|| corrupt("deployment is empty"))
    }

    fn change_deployment(
        &self,
        revision: u64,
        settings: &str,
        deadline: Instant,
    ) -> Result<bool, StoreError> {
        let changed = self.run(deadline, |connection| {
            connection.execute(Query::ChangeDeployment, (settings, revision))
        })?;
        Ok(changed == 1)
    }
}

fn listed(
    (
        node,
        run,
        instance,
        serves,
        renewed_ms,
        until,
        lease_ms,
        revision,
        host,
        version,
        redis,
        about,
    ): Found,
) -> Result<ListedServer, StoreError> {
    let tag = |bytes: Vec<u8>| bytes.try_into().map_err(|_| corrupt("a tag of another length"));
    let row = ServerRow {
        node,
        run: tag(run)?,
        instance: tag(instance)?,
        serves,
        ids_until_ms: until,
        lease_ms,
        revision,
        host,
        version,
        redis,
        about,
    };
    Ok(ListedServer { row, renewed_ms })
}

fn corrupt(what: &str) -> StoreError {
    StoreError::Corrupt(Cause::Database(what.to_owned()))
}
