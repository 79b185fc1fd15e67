//! The store in MySQL or MariaDB, shared by any number of servers.
//!
//! Each statement commits by itself, at READ COMMITTED. Durability is the server's to give: with
//! `innodb_flush_log_at_trx_commit = 1` (the default) a commit is on disk when it is acknowledged, and
//! [`migrate`](Store::migrate) logs a warning if it is set to anything else.
//!
//! Connections come from our [`pool`]. One that idled for half a second is pinged before it is lent; one
//! that failed is closed, so after a restart of the server at most the connections that were in use a
//! moment ago give an error each. The driver's own pool is not used, see [`connection`].

mod connection;
mod fault;
mod migrate;
#[cfg(test)]
mod tests;

use std::time::Instant;

use pool::{Config, Lent, Pool};

use self::connection::{Connection, Connector, Query};
use super::fault::{Fault, Kind};
use super::limits::{
    CONNECTION_IDLE_TIMEOUT, CONNECTION_LIFETIME, CONNECTION_LIFETIME_JITTER, DEADLOCK_RETRIES_MAX,
    PURGE_BATCH_MAX,
};
use super::rows::sql_integer;
use super::{
    Inserted, Migrated, MigrationError, MySqlUrl, NewSession, NewUser, Product, SessionRow, Store,
    StoreError, UserAgent, UserRow, check_deadline,
};

/// Users and sessions in a MySQL or MariaDB database.
#[derive(Debug)]
pub struct MySqlStore {
    pool: Pool<Connector>,
}

impl MySqlStore {
    /// A store on the database at `url`, with at most `connections` connections. Does not connect: the
    /// first call does.
    ///
    /// # Errors
    ///
    /// [`StoreError::Internal`] if `connections` is out of range.
    pub fn new(url: MySqlUrl, connections: usize) -> Result<Self, StoreError> {
        let config = Config::new(connections)
            .and_then(|config| config.lifetime(CONNECTION_LIFETIME, CONNECTION_LIFETIME_JITTER))
            .and_then(|config| config.idle_timeout(CONNECTION_IDLE_TIMEOUT))
            .map_err(|error| StoreError::Internal(error.into()))?;
        Ok(Self { pool: Pool::new(Connector::new(url), config) })
    }

    /// Borrows a connection, works, and gives it back unless the work spoilt it.
    ///
    /// `work` sends statements that commit one by one. The database breaks a deadlock by rolling one of
    /// them back; then `work` is called again.
    fn run<T>(
        &self,
        deadline: Instant,
        mut work: impl FnMut(&mut Connection) -> Result<T, Fault>,
    ) -> Result<T, StoreError> {
        check_deadline(deadline)?;
        let mut connection = self.pool.acquire(deadline)?;
        let mut retries_left = DEADLOCK_RETRIES_MAX;
        loop {
            check_deadline(deadline)?;
            match work(&mut connection) {
                Err(fault) if fault.kind() == Kind::Deadlock && retries_left > 0 => {
                    retries_left -= 1;
                }
                Err(fault) => {
                    if fault.spoils_connection() {
                        Lent::discard(connection);
                    }
                    return Err(fault.into());
                }
                Ok(done) => return Ok(done),
            }
        }
    }
}

impl Store for MySqlStore {
    fn migrate(&self, deadline: Instant) -> Result<Migrated, MigrationError> {
        check_deadline(deadline)?;
        let conn = self.pool.manager().connect_for_migration(deadline).map_err(StoreError::from)?;
        migrate::migrate(conn, deadline)
    }

    fn insert_user(&self, user: &NewUser<'_>, deadline: Instant) -> Result<Inserted, StoreError> {
        let id = sql_integer(user.user_id, "the user id")?;
        let created_at_ms = sql_integer(user.created_at_ms, "the time")?;
        let owner: Option<(u64, Option<Vec<u8>>)> = self.run(deadline, |connection| {
            let inserted = connection.execute(
                Query::InsertUser,
                (
                    id,
                    user.username,
                    user.password_record,
                    user.name,
                    user.age,
                    user.request_id.as_ref().map(|id| &id[..]),
                    created_at_ms,
                ),
            );
            match inserted {
                Ok(_) => Ok(None),
                Err(fault) if fault.kind() == Kind::Duplicate => {
                    // If nobody has the name, it was the id that collided: the fault stands.
                    let owner = connection.first(Query::OwnerOfName, (user.username,))?;
                    owner.map(Some).ok_or(fault)
                }
                Err(fault) => Err(fault),
            }
        })?;
        Ok(match owner {
            None => Inserted::Created,
            Some((owner, registered_by)) => {
                Inserted::for_owner(owner, registered_by.as_deref(), user.request_id)
            }
        })
    }

    fn user_by_name(
        &self,
        username: &str,
        deadline: Instant,
    ) -> Result<Option<UserRow>, StoreError> {
        // Nobody's, and MySQL would refuse to compare it with an ASCII column.
        if !username.is_ascii() {
            return Ok(None);
        }
        let row =
            self.run(deadline, |connection| connection.first(Query::UserByName, (username,)))?;
        Ok(row.map(|(user_id, password_record)| UserRow { user_id, password_record }))
    }

    fn has_users(&self, deadline: Instant) -> Result<bool, StoreError> {
        let found: Option<(bool,)> =
            self.run(deadline, |connection| connection.first(Query::AnyUser, ()))?;
        Ok(found == Some((true,)))
    }

    fn replace_password_record(
        &self,
        user_id: u64,
        old: &str,
        new: &str,
        deadline: Instant,
    ) -> Result<bool, StoreError> {
        let user_id = sql_integer(user_id, "the user id")?;
        let found = self.run(deadline, |connection| {
            connection.execute(Query::ReplacePasswordRecord, (new, user_id, old))
        })?;
        Ok(found == 1)
    }

    fn insert_session(
        &self,
        session: &NewSession<'_>,
        deadline: Instant,
    ) -> Result<(), StoreError> {
        let id = sql_integer(session.session_id, "the session id")?;
        let user_id = sql_integer(session.user_id, "the user id")?;
        let created_at_ms = sql_integer(session.created_at_ms, "the time")?;
        let expires_at_ms = sql_integer(session.expires_at_ms, "the time")?;
        self.run(deadline, |connection| {
            connection.execute(
                Query::InsertSession,
                (
                    &session.token_digest[..],
                    id,
                    user_id,
                    created_at_ms,
                    expires_at_ms,
                    session.client_address.map(|address| address.to_string()),
                    session.user_agent.map(UserAgent::as_str),
                ),
            )
        })
        .map(drop)
    }

    fn session(
        &self,
        token_digest: &[u8; 32],
        now_ms: u64,
        deadline: Instant,
    ) -> Result<Option<SessionRow>, StoreError> {
        let now_ms = sql_integer(now_ms, "the time")?;
        let row = self.run(deadline, |connection| {
            connection.first(Query::Session, (&token_digest[..], now_ms))
        })?;
        Ok(row.map(|(session_id, user_id, username, created_at_ms, expires_at_ms)| SessionRow {
            session_id,
            user_id,
            username,
            created_at_ms,
            expires_at_ms,
        }))
    }

    fn delete_session(
        &self,
        token_digest: &[u8; 32],
        deadline: Instant,
    ) -> Result<bool, StoreError> {
        let deleted = self.run(deadline, |connection| {
            connection.execute(Query::DeleteSession, (&token_digest[..],))
        })?;
        Ok(deleted == 1)
    }

    fn delete_expired_sessions(
        &self,
        now_ms: u64,
        limit: u32,
        deadline: Instant,
    ) -> Result<u32, StoreError> {
        let now_ms = sql_integer(now_ms, "the time")?;
        let limit = limit.min(PURGE_BATCH_MAX);
        let deleted = self.run(deadline, |connection| {
            connection.execute(Query::DeleteExpiredSessions, (now_ms, limit))
        })?;
        // At most `limit`, so it fits.
        Ok(u32::try_from(deleted).unwrap_or(limit))
    }

    fn products(&self, deadline: Instant) -> Result<Vec<Product>, StoreError> {
        let rows = self.run(deadline, |connection| connection.all(Query::Products, ()))?;
        let product = |(product_id, name, description, price_minor, currency)| Product {
            product_id,
            name,
            description,
            price_minor,
            currency,
        };
        Ok(rows.into_iter().map(product).collect())
    }

    fn ping(&self, deadline: Instant) -> Result<(), StoreError> {
        self.run(deadline, Connection::ping)
    }

    fn connections(&self) -> pool::Stats {
        self.pool.stats()
    }
}
