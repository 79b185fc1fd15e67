//! Nodes, and what all servers do alike.

use std::time::Instant;

use rusqlite::{OptionalExtension as _, Row, named_params, params};
use unix_time::unix_ms;

use super::{SqliteStore, unsigned};
use crate::migrations::now_ms;
use crate::rows::sql_integer;
use crate::{
    Cause, DeploymentRow, Installation, ListedServer, NO_RUN, ServerRow, Servers, StoreError, Tag,
};

impl Installation for SqliteStore {
    fn servers(&self, deadline: Instant) -> Result<Servers, StoreError> {
        let listed = self.read(deadline, |connection| {
            connection
                .prepare_cached(
                    "SELECT node, run, instance, serves, renewed_ms, ids_until_ms, lease_ms, revision, \
                            host, version, redis, about \
                     FROM server ORDER BY node",
                )?
                .query_map([], listed)?
                .collect()
        })?;
        Ok(Servers { now_ms: unix_ms(clock::wall()), listed })
    }

    fn take_node(
        &self,
        seen: Option<&ListedServer>,
        row: &ServerRow,
        deadline: Instant,
    ) -> Result<bool, StoreError> {
        let ids_until_ms = sql_integer(row.ids_until_ms, "the time")?;
        let revision = sql_integer(row.revision, "the revision")?;
        // Nobody was seen: nobody has this run.
        let (run, renewed_ms) = seen.map_or(([0; 16], 0), |seen| (seen.row.run, seen.renewed_ms));
        let renewed_ms = sql_integer(renewed_ms, "the time")?;
        self.write(deadline, |connection| {
            connection
                .prepare_cached(
                    "INSERT INTO server (node, run, instance, serves, renewed_ms, ids_until_ms, lease_ms, \
                                         revision, host, version, redis, about) \
                     VALUES (:node, :run, :instance, :serves, :now, :ids_until, :lease, \
                             :revision, :host, :version, :redis, :about) \
                     ON CONFLICT (node) DO UPDATE SET \
                         run = excluded.run, instance = excluded.instance, serves = excluded.serves, \
                         renewed_ms = excluded.renewed_ms, ids_until_ms = excluded.ids_until_ms, \
                         lease_ms = excluded.lease_ms, revision = excluded.revision, \
                         host = excluded.host, version = excluded.version, redis = excluded.redis, \
                         about = excluded.about \
                     WHERE run = :seen_run AND renewed_ms = :seen_renewed",
                )?
                .execute(named_params! {
                    ":node": row.node,
                    ":run": row.run,
                    ":instance": row.instance,
                    ":serves": row.serves,
                    ":now": now_ms(),
                    ":ids_until": ids_until_ms,
                    ":lease": row.lease_ms,
                    ":revision": revision,
                    ":host": row.host,
                    ":version": row.version,
                    ":redis": row.redis,
                    ":about": row.about,
                    ":seen_run": run,
                    ":seen_renewed": renewed_ms,
                })
                .map(|changed| changed == 1)
        })
    }

    fn renew_node(&self, row: &ServerRow, deadline: Instant) -> Result<bool, StoreError> {
        let ids_until_ms = sql_integer(row.ids_until_ms, "the time")?;
        let revision = sql_integer(row.revision, "the revision")?;
        self.write(deadline, |connection| {
            connection
                .prepare_cached(
                    "UPDATE server SET renewed_ms = ?, ids_until_ms = ?, lease_ms = ?, revision = ?, \
                                       redis = ?, about = ? \
                     WHERE node = ? AND run = ? AND ids_until_ms <= ?",
                )?
                .execute(params![
                    now_ms(),
                    ids_until_ms,
                    row.lease_ms,
                    revision,
                    row.redis,
                    row.about,
                    row.node,
                    row.run,
                    ids_until_ms,
                ])
                .map(|changed| changed == 1)
        })
    }

    fn release_node(
        &self,
        node: u16,
        run: &Tag,
        ids_until_ms: u64,
        deadline: Instant,
    ) -> Result<bool, StoreError> {
        let ids_until_ms = sql_integer(ids_until_ms, "the time")?;
        self.write(deadline, |connection| {
            connection
                .prepare_cached(
                    "UPDATE server SET run = ?, renewed_ms = ?, ids_until_ms = ? WHERE node = ? AND run = ?",
                )?
                .execute(params![NO_RUN, now_ms(), ids_until_ms, node, run])
                .map(|changed| changed == 1)
        })
    }

    fn free_all_nodes(
        &self,
        run: &Tag,
        ids_until_ms: u64,
        deadline: Instant,
    ) -> Result<(), StoreError> {
        let ids_until_ms = sql_integer(ids_until_ms, "the time")?;
        self.write(deadline, |connection| {
            // Without a WHERE, SQLite would take ON for that of a join.
            connection
                .prepare_cached(
                    "INSERT INTO server (node, run, instance, serves, renewed_ms, ids_until_ms, lease_ms, \
                                         revision, host, version, redis, about) \
                     WITH RECURSIVE number (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM number WHERE n < 1023) \
                     SELECT n, :run, :run, 0, 0, :ids_until, 0, 0, '', '', '', '' FROM number WHERE true \
                     ON CONFLICT (node) DO UPDATE SET \
                         run = excluded.run, renewed_ms = 0, \
                         ids_until_ms = max(ids_until_ms, excluded.ids_until_ms)",
                )?
                .execute(named_params! { ":run": run, ":ids_until": ids_until_ms })
                .map(drop)
        })
    }

    fn deployment(&self, deadline: Instant) -> Result<DeploymentRow, StoreError> {
        let row = self.read(deadline, |connection| {
            connection
                .prepare_cached("SELECT revision, settings FROM deployment WHERE id = 1")?
                .query_row([], |row| {
                    Ok(DeploymentRow { revision: unsigned(row, 0)?, settings: row.get(1)? })
                })
                .optional()
        })?;
        row.ok_or_else(|| StoreError::Corrupt(Cause::Database("deployment is empty".to_owned())))
    }

    fn change_deployment(
        &self,
        revision: u64,
        settings: &str,
        deadline: Instant,
    ) -> Result<bool, StoreError> {
        let revision = sql_integer(revision, "the revision")?;
        self.write(deadline, |connection| {
            connection
                .prepare_cached(
                    "UPDATE deployment SET revision = revision + 1, settings = ? \
                     WHERE id = 1 AND revision = ?",
                )?
                .execute(params![settings, revision])
                .map(|changed| changed == 1)
        })
    }
}

fn listed(row: &Row<'_>) -> rusqlite::Result<ListedServer> {
    Ok(ListedServer {
        row: ServerRow {
            node: row.get(0)?,
            run: row.get(1)?,
            instance: row.get(2)?,
            serves: row.get(3)?,
            ids_until_ms: unsigned(row, 5)?,
            lease_ms: row.get(6)?,
            revision: unsigned(row, 7)?,
            host: row.get(8)?,
            version: row.get(9)?,
            redis: row.get(10)?,
            about: row.get(11)?,
        },
        renewed_ms: unsigned(row, 4)?,
    })
}
