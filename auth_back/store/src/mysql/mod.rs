//! The store in MySQL or MariaDB, shared by any number of servers.
//!
//! Each statement commits by itself, at READ COMMITTED. Durability is the server's to give: with
//! `innodb_flush_log_at_trx_commit = 1` (the default) a commit is on disk when it is acknowledged, and
//! [`schema`](Store::schema) logs a warning if it is set to anything else.
//!
//! Connections come from our [`pool`]. One that idled for half a second is pinged before it is lent; one
//! that failed is closed, so after a restart of the server at most the connections that were in use a
//! moment ago give an error each. A refused write closes all that may lead to a demoted primary, see [`eras`]. The
//! driver's own pool is not used, see [`connection`].

mod connection;
mod eras;
mod errors;
mod fault;
mod installation;
mod keys;
mod migrate;
mod operators;
mod query;
mod sessions;
#[cfg(test)]
mod tests;
mod users;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use mysql::Value;
use pool::{AcquireError, Config, Lent, Pool};
use sparing::sparing;

use self::connection::{Connection, Connector};
use self::eras::Eras;
#[cfg(test)]
pub(super) use self::migrate::CREATE_RECORD;
use circuit::Circuit;

use self::query::Query;
use super::error::{Cause, StoreError, check_deadline};
use super::fault::{Blame, Fault, Kind};
use super::limits::{
    CONNECTION_IDLE_TIMEOUT, CONNECTION_LIFETIME, CONNECTION_LIFETIME_JITTER, DEADLOCK_RETRIES_MAX,
    HANGING_REST, HANGS_AFTER,
};
use super::migrations::{Migrated, MigrationError, Schema};
use super::rows::Product;
use super::store::{Condition, Store};
use super::url::MySqlUrl;
use super::writes::Writes;

/// Users and sessions in a MySQL or MariaDB database.
#[derive(Debug)]
pub struct MySqlStore {
    pool: Pool<Connector>,
    /// Broken while it hangs.
    circuit: Circuit,
    spared_calls: AtomicU64,
    writes: Writes,
}

/// What became of rows that one statement was to insert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Together {
    /// All of them are there.
    Inserted,
    /// One of them could not be, and so none is.
    Refused,
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
        Ok(Self {
            pool: Pool::new(Connector::new(url), config),
            circuit: Circuit::new(HANGING_REST, HANGS_AFTER),
            spared_calls: AtomicU64::new(0),
            writes: Writes::default(),
        })
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
        if !self.circuit.admits(clock::now()) {
            self.spared_calls.fetch_add(1, Ordering::Relaxed);
            return Err(StoreError::Unavailable(Cause::Hangs));
        }
        let mut connection = self.connection(deadline)?;
        let mut retries_left = DEADLOCK_RETRIES_MAX;
        loop {
            check_deadline(deadline)?;
            match work(&mut connection) {
                Err(fault) if fault.kind() == Kind::Deadlock && retries_left > 0 => {
                    retries_left -= 1;
                }
                Err(fault) => {
                    self.note(&fault);
                    if fault.spoils_connection() {
                        if fault.kind() == Kind::TakesNoWrites {
                            self.eras().refused(connection.era(), clock::now());
                        }
                        Lent::discard(connection);
                    }
                    return Err(fault.into());
                }
                Ok(done) => {
                    self.answers();
                    if connection.take_has_written() && self.writes.note_done() {
                        connection.move_to(self.eras().taken());
                    }
                    return Ok(done);
                }
            }
        }
    }

    /// Inserts rows, `1..=`[`COMMIT_TOGETHER_MAX`](super::limits::COMMIT_TOGETHER_MAX), with one statement: so with one
    /// round trip and one commit.
    fn insert_together<const COLUMNS: usize>(
        &self,
        query: fn(usize) -> Query,
        rows: &[[Value; COLUMNS]],
        deadline: Instant,
    ) -> Result<Together, StoreError> {
        let query = query(rows.len());
        self.run(deadline, |connection| match connection.execute(query, rows.concat()) {
            Ok(_) => Ok(Together::Inserted),
            // One row, and not the database: the others are to be inserted without it. A wait for a row that somebody keeps
            // locked fails all of them: it cannot be told from a database that is slow, which more statements make slower.
            Err(fault) if fault.blame() == Blame::Program && !fault.spoils_connection() => {
                Ok(Together::Refused)
            }
            Err(fault) => Err(fault),
        })
    }

    /// A connection of this era. Those of earlier ones, at most as many as there are, are closed on the way.
    fn connection(&self, deadline: Instant) -> Result<Lent<'_, Connector>, StoreError> {
        loop {
            let connection = self.pool.acquire(deadline).inspect_err(|error| {
                if let AcquireError::Connect(fault) = error {
                    self.note(fault);
                }
            })?;
            if connection.era() == self.eras().now() {
                return Ok(connection);
            }
            Lent::discard(connection);
            check_deadline(deadline)?;
        }
    }

    fn eras(&self) -> &Eras {
        self.pool.manager().eras()
    }

    fn note(&self, fault: &Fault) {
        self.writes.note(fault);
        match fault.kind() {
            Kind::TimedOut => {
                if self.circuit.failed(clock::now()) {
                    sparing!(ERROR, fault = %fault, "the database HANGS: requests are refused at once until it answers");
                }
            }
            // Neither slow nor an answer.
            Kind::NoAnswer => {}
            Kind::Duplicate | Kind::Deadlock | Kind::TakesNoWrites | Kind::Other => self.answers(),
        }
    }

    fn answers(&self) {
        if self.circuit.mends() {
            sparing!(INFO, "the database answers again");
        }
    }
}

impl Store for MySqlStore {
    fn schema(&self, deadline: Instant) -> Result<Schema, MigrationError> {
        check_deadline(deadline)?;
        let conn = self.pool.manager().connect_to_look(deadline).map_err(StoreError::from)?;
        migrate::look(conn)
    }

    fn migrate(&self, deadline: Instant) -> Result<Migrated, MigrationError> {
        check_deadline(deadline)?;
        let conn = self.pool.manager().connect_for_migration(deadline).map_err(StoreError::from)?;
        migrate::migrate(conn, deadline)
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
        // A statement, and not the protocol's ping: a node that is no member of its cluster answers that one.
        let _: Vec<(u64, String)> =
            self.run(deadline, |connection| connection.all(Query::CacheEra, ()))?;
        self.writes.try_again(|| {
            self.run(deadline, |connection| connection.execute(Query::TryToWrite, ()))
        });
        Ok(())
    }

    fn time(&self, deadline: Instant) -> Result<u64, StoreError> {
        let rows: Vec<u64> = self.run(deadline, |connection| connection.all(Query::Time, ()))?;
        let [unix_ms] = rows[..] else {
            return Err(StoreError::Corrupt(Cause::OutOfRange("the time")));
        };
        Ok(unix_ms)
    }

    fn connections(&self) -> pool::Stats {
        self.pool.stats()
    }

    fn condition(&self) -> Condition {
        Condition {
            takes_writes: self.writes.are_taken(),
            spared_calls: self.spared_calls.load(Ordering::Relaxed),
        }
    }
}
