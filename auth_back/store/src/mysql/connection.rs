//! One connection to MySQL or MariaDB, with its prepared statements.
//!
//! A lookup is one round trip: one `COM_STMT_EXECUTE` packet and its answer. The driver's own pool would
//! add a ping at each borrow and a reset at each return, and the reset drops the prepared statements, which
//! then have to be prepared again: four round trips. A test counts what arrives at the server in its
//! general log (`one_lookup_is_one_command`).

use std::collections::HashMap;
use std::io;
use std::panic::AssertUnwindSafe;
use std::time::Instant;

use mysql::consts::CapabilityFlags;
use mysql::prelude::{FromRow, Queryable as _};
use mysql::{Conn, LocalInfileHandler, OptsBuilder, Params, Row, Statement};
use pool::Manager;

use super::eras::{Era, Eras};
use super::errors::ACCESS_DENIED;
use super::fault::{conversion, fault, panicked};
use super::query::Query;
use crate::fault::Fault;
use crate::limits::{
    CONNECT_TIMEOUT, IO_TIMEOUT, MIGRATION_KEEPALIVE, MIGRATION_STATEMENT_TIME_MAX,
    PACKET_BYTES_MAX, PASSWORD_TRIES_MAX, STATEMENT_TIMEOUT,
};
use crate::{MySqlUrl, Trial};

/// A connection and what has been prepared on it. Prepared statements live as long as it does.
///
/// Not `Debug`: the driver would print the password.
pub(super) struct Connection {
    conn: Conn,
    /// By [`Query`], each filled when it is first needed.
    statements: [Option<Statement>; Query::COUNT],
    era: Era,
    /// Whether a write was done over it since this was last asked.
    has_written: bool,
}

impl Connection {
    /// The era in which it was begun.
    pub(super) fn era(&self) -> Era {
        self.era
    }

    /// It leads to a database that takes writes: it belongs to this era from now on.
    pub(super) fn move_to(&mut self, era: Era) {
        self.era = era;
    }

    /// Whether a write was done over it since this was last asked.
    pub(super) fn take_has_written(&mut self) -> bool {
        std::mem::take(&mut self.has_written)
    }

    /// The first row of the answer, if any.
    pub(super) fn first<T: FromRow>(
        &mut self,
        query: Query,
        params: impl Into<Params>,
    ) -> Result<Option<T>, Fault> {
        self.all(query, params).map(|rows| rows.into_iter().next())
    }

    /// Every row of the answer. It is read to its end before any row is looked at: an error in the middle
    /// is seen, and nothing is left on the wire for the next statement to trip over.
    pub(super) fn all<T: FromRow>(
        &mut self,
        query: Query,
        params: impl Into<Params>,
    ) -> Result<Vec<T>, Fault> {
        let Self { conn, statements, .. } = self;
        let statement = prepared(conn, statements, query)?;
        let rows: Vec<Row> = conn
            .exec_iter(statement, params)
            .and_then(Iterator::collect)
            .map_err(|error| fault(&error))?;
        rows.into_iter().map(|row| mysql::from_row_opt(row).map_err(|_| conversion())).collect()
    }

    /// How many rows the statement found, whether or not it changed them.
    pub(super) fn execute(
        &mut self,
        query: Query,
        params: impl Into<Params>,
    ) -> Result<u64, Fault> {
        let Self { conn, statements, has_written, .. } = self;
        let statement = prepared(conn, statements, query)?;
        conn.exec_drop(statement, params).map_err(|error| fault(&error))?;
        *has_written = true;
        Ok(conn.affected_rows())
    }

    /// The number that the statement gave to `LAST_INSERT_ID(…)`; `None` if it found no row. It comes with the answer, so
    /// there is no second statement that could fail after the first was done.
    pub(super) fn execute_with_number(
        &mut self,
        query: Query,
        params: impl Into<Params>,
    ) -> Result<Option<u64>, Fault> {
        let found = self.execute(query, params)?;
        Ok((found > 0).then(|| self.conn.last_insert_id()))
    }

    /// Does `work` in one transaction: all of it, or nothing if it fails or is a rehearsal.
    pub(super) fn transaction<T>(
        &mut self,
        trial: Trial,
        work: impl FnOnce(&mut Self) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let end = match trial {
            Trial::Real => "COMMIT",
            Trial::Rehearsal => "ROLLBACK",
        };
        let send = |connection: &mut Self, statement| {
            connection.conn.query_drop(statement).map_err(|error| fault(&error))
        };
        send(self, "START TRANSACTION")?;
        match work(self) {
            Ok(done) => send(self, end).map(|()| done),
            // Closing a connection rolls back too.
            Err(fault) if fault.spoils_connection() => Err(fault),
            Err(fault) => send(self, "ROLLBACK").and(Err(fault)),
        }
    }

    /// The driver's connection, for tests that ask the server about it.
    #[cfg(test)]
    pub(super) fn raw(&mut self) -> &mut Conn {
        &mut self.conn
    }

    /// One round trip.
    pub(super) fn ping(&mut self) -> Result<(), Fault> {
        self.conn.ping().map_err(|error| fault(&error))
    }
}

/// The statement for `query`, which costs a round trip the first time on each connection.
fn prepared<'s>(
    conn: &mut Conn,
    statements: &'s mut [Option<Statement>; Query::COUNT],
    query: Query,
) -> Result<&'s Statement, Fault> {
    match &mut statements[query as usize] {
        Some(statement) => Ok(statement),
        empty => {
            let statement = conn.prep(query.sql()).map_err(|error| fault(&error))?;
            Ok(empty.insert(statement))
        }
    }
}

/// Opens connections to one database.
#[derive(Debug)]
pub(super) struct Connector {
    url: MySqlUrl,
    eras: Eras,
}

impl Connector {
    pub(super) fn new(url: MySqlUrl) -> Self {
        Self { url, eras: Eras::default() }
    }

    /// Which of its connections may still be used.
    pub(super) fn eras(&self) -> &Eras {
        &self.eras
    }

    /// A connection to look at the schema with, on which nothing is prepared.
    pub(super) fn connect_to_look(&self, deadline: Instant) -> Result<Conn, Fault> {
        let opts = self.options(deadline)?.init(vec![STRICT.to_owned(), time_limits()]);
        open(&opts)
    }

    /// A connection that waits long for its statements, since DDL copies a large table. The deadline is for
    /// connecting. A database that has gone is noticed by the system's own probes.
    pub(super) fn connect_for_migration(&self, deadline: Instant) -> Result<Conn, Fault> {
        let opts = self
            .options(deadline)?
            .read_timeout(Some(MIGRATION_STATEMENT_TIME_MAX))
            .write_timeout(Some(MIGRATION_STATEMENT_TIME_MAX))
            .tcp_keepalive_time_ms(u32::try_from(MIGRATION_KEEPALIVE.as_millis()).ok())
            .init(vec![STRICT.to_owned(), lock_limit()]);
        open(&opts)
    }

    fn options(&self, deadline: Instant) -> Result<OptsBuilder, Fault> {
        let connect_timeout = remaining(deadline)?.min(CONNECT_TIMEOUT);
        Ok(OptsBuilder::new()
            .ip_or_hostname(Some(self.url.host()))
            .tcp_port(self.url.port())
            .user(Some(self.url.user()))
            .pass(self.url.password())
            .db_name(Some(self.url.database()))
            .connect_attrs(Some(HashMap::from([("program_name", "auth_back")])))
            // The driver would connect a second time, to the socket that the server names.
            .prefer_socket(false)
            // The driver would ask the server at each connect.
            .max_allowed_packet(Some(PACKET_BYTES_MAX))
            // We keep our statements ourselves; in the cache they could be evicted and closed.
            .stmt_cache_size(0)
            // Compare and swap to the same value counts as done, as in SQLite.
            .additional_capabilities(CapabilityFlags::CLIENT_FOUND_ROWS)
            // A database may ask the driver for any file of ours, and it would send it.
            .local_infile_handler(Some(LocalInfileHandler::new(|_, _| {
                Err(io::Error::from(io::ErrorKind::PermissionDenied))
            })))
            .tcp_connect_timeout(Some(connect_timeout))
            .read_timeout(Some(IO_TIMEOUT))
            .write_timeout(Some(IO_TIMEOUT))
            // Else the system would go on sending what was given up, and the server do it minutes later.
            .tcp_user_timeout_ms(u32::try_from(IO_TIMEOUT.as_millis()).ok()))
    }
}

/// Connects. What a server asks of a client before it lets it in is the server's to choose, or of whoever sits in its
/// place, and the driver panics at some of it: nothing here is shared with what it leaves behind.
///
/// A refused password is tried again: of a challenge for the plugin ed25519 the driver cuts off a last byte that is zero
/// (`mysql_common` 0.37.3, `AuthSwitchRequest::plugin_data`), so one in 256 right ones is refused.
fn open(opts: &OptsBuilder) -> Result<Conn, Fault> {
    let mut tries_left = PASSWORD_TRIES_MAX;
    loop {
        tries_left -= 1;
        let opts = opts.clone();
        match std::panic::catch_unwind(AssertUnwindSafe(|| Conn::new(opts))) {
            Ok(Err(mysql::Error::MySqlError(error)))
                if error.code == ACCESS_DENIED && tries_left > 0 => {}
            Ok(connected) => return connected.map_err(|error| fault(&error)),
            Err(_) => return Err(panicked()),
        }
    }
}

/// Bad data is an error, never adjusted to fit.
const STRICT: &str =
    "SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION', autocommit = 1";

/// Nothing here reads twice and expects the same, and the weaker level takes no locks on gaps.
const READ_COMMITTED: &str = "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED";

/// A change of a table waits for whoever reads it, and everybody else waits behind the change: so it soon gives up, and
/// is tried again.
fn lock_limit() -> String {
    format!("SET SESSION lock_wait_timeout = {}", STATEMENT_TIMEOUT.as_secs())
}

/// Lock waits in whole seconds; the limits of a statement by the name that each server knows, in a comment
/// that only it executes.
fn time_limits() -> String {
    let seconds = STATEMENT_TIMEOUT.as_secs();
    let milliseconds = STATEMENT_TIMEOUT.as_millis();
    format!(
        "SET SESSION innodb_lock_wait_timeout = {seconds}, lock_wait_timeout = {seconds} \
         /*M!100101 , max_statement_time = {seconds} */ \
         /*!80000 , max_execution_time = {milliseconds} */"
    )
}

impl Manager for Connector {
    type Item = Connection;
    type Error = Fault;

    fn connect(&self, deadline: Instant) -> Result<Connection, Fault> {
        // Before it is opened: an address that moves meanwhile is not to be missed.
        let era = self.eras.now();
        let opts = self.options(deadline)?.init(vec![
            STRICT.to_owned(),
            READ_COMMITTED.to_owned(),
            time_limits(),
        ]);
        let conn = open(&opts)?;
        let statements = [const { None }; Query::COUNT];
        Ok(Connection { conn, statements, era, has_written: false })
    }

    fn is_alive(&self, connection: &mut Connection, _deadline: Instant) -> bool {
        connection.era == self.eras.now() && connection.ping().is_ok()
    }

    fn is_broken(&self, connection: &Connection) -> bool {
        connection.era != self.eras.now()
    }
}

fn remaining(deadline: Instant) -> Result<std::time::Duration, Fault> {
    let remaining = deadline.saturating_duration_since(clock::now());
    // The driver takes a zero timeout for an error of ours.
    if remaining.is_zero() { Err(super::fault::too_late()) } else { Ok(remaining) }
}
