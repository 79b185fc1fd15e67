//! Users and sessions in SQLite or MariaDB, by sqlx.

use std::str::FromStr;
use std::thread;

use serde::Serialize;
use sqlx::mysql::{MySqlConnectOptions, MySqlPoolOptions, MySqlSslMode};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, MySqlPool, SqlitePool};

const MYSQL_CONNECTIONS: u32 = 16;

/// Where users and sessions are.
pub(crate) enum Store {
    /// SQLite has one writer at a time: writes go through a pool of one connection, so that they wait
    /// there and not in SQLite's busy handler.
    Sqlite { reads: SqlitePool, writes: SqlitePool },
    /// MySQL or MariaDB.
    Mysql(MySqlPool),
}

/// How a registration went.
pub(crate) enum Registered {
    /// The user's id.
    As(i64),
    NameIsTaken,
}

#[derive(Serialize)]
pub(crate) struct Product {
    id: String,
    name: String,
    description: String,
    price_minor: i64,
    currency: String,
}

const INSERT_USER: &str =
    "INSERT INTO user (username, password_hash, name, age, created_at_ms) VALUES (?, ?, ?, ?, ?)";
const FIND_USER: &str = "SELECT id, password_hash FROM user WHERE username = ?";
const INSERT_SESSION: &str =
    "INSERT INTO session (token_digest, user_id, created_at_ms, expires_at_ms) VALUES (?, ?, ?, ?)";
const SESSION_IS_LIVE: &str =
    "SELECT user_id FROM session WHERE token_digest = ? AND expires_at_ms > ?";
const END_SESSION: &str = "DELETE FROM session WHERE token_digest = ? AND expires_at_ms > ?";
const PRODUCTS: &str =
    "SELECT id, name, description, price_minor, currency FROM product ORDER BY id";

/// The same statement in either database.
macro_rules! either {
    ($store:expr, $reads_or_writes:ident, $pool:ident => $call:expr) => {
        match $store {
            Self::Sqlite { $reads_or_writes: $pool, .. } => $call,
            Self::Mysql($pool) => $call,
        }
    };
}

impl Store {
    /// Opens `sqlite:FILE` or `mysql://…` and makes the tables.
    pub(crate) async fn open(url: &str) -> Result<Self, sqlx::Error> {
        let store = match url.strip_prefix("sqlite:") {
            Some(file) => Self::open_sqlite(file).await?,
            None => Self::open_mysql(url).await?,
        };
        match &store {
            Self::Sqlite { writes, .. } => {
                for statement in SQLITE_TABLES {
                    sqlx::query(statement).execute(writes).await?;
                }
            }
            Self::Mysql(pool) => {
                for statement in MYSQL_TABLES {
                    sqlx::query(statement).execute(pool).await?;
                }
            }
        }
        Ok(store)
    }

    async fn open_sqlite(file: &str) -> Result<Self, sqlx::Error> {
        let options = SqliteConnectOptions::new()
            .filename(file)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .disable_statement_logging();
        let pool = |connections| {
            // A file does not go away, so connections need not be tried before each use.
            SqlitePoolOptions::new().max_connections(connections).test_before_acquire(false)
        };
        let writes = pool(1).connect_with(options.clone()).await?;
        let cores = thread::available_parallelism().map_or(1, usize::from) as u32;
        let reads = pool(cores).connect_with(options).await?;
        Ok(Self::Sqlite { reads, writes })
    }

    async fn open_mysql(url: &str) -> Result<Self, sqlx::Error> {
        let options = MySqlConnectOptions::from_str(url)?
            .ssl_mode(MySqlSslMode::Disabled)
            .disable_statement_logging();
        let pool = MySqlPoolOptions::new()
            .max_connections(MYSQL_CONNECTIONS)
            // Otherwise each use of a connection would begin with a round trip.
            .test_before_acquire(false)
            .connect_with(options)
            .await?;
        Ok(Self::Mysql(pool))
    }

    pub(crate) async fn products(&self) -> Result<Vec<Product>, sqlx::Error> {
        let rows: Vec<(i64, String, String, i64, String)> =
            either!(self, reads, pool => sqlx::query_as(PRODUCTS).fetch_all(pool).await)?;
        let product = |(id, name, description, price_minor, currency): (i64, _, _, _, _)| Product {
            id: id.to_string(),
            name,
            description,
            price_minor,
            currency,
        };
        Ok(rows.into_iter().map(product).collect())
    }

    pub(crate) async fn insert_user(
        &self,
        username: &str,
        hash: &str,
        name: Option<String>,
        age: Option<u8>,
        now_ms: i64,
    ) -> Result<Registered, sqlx::Error> {
        macro_rules! insert {
            ($pool:expr) => {
                sqlx::query(INSERT_USER)
                    .bind(username)
                    .bind(hash)
                    .bind(name)
                    .bind(age.map(i16::from))
                    .bind(now_ms)
                    .execute($pool)
                    .await
            };
        }
        let inserted = match self {
            Self::Sqlite { writes, .. } => insert!(writes).map(|done| done.last_insert_rowid()),
            Self::Mysql(pool) => insert!(pool).map(|done| done.last_insert_id() as i64),
        };
        match inserted {
            Ok(id) => Ok(Registered::As(id)),
            Err(sqlx::Error::Database(error)) if error.is_unique_violation() => {
                Ok(Registered::NameIsTaken)
            }
            Err(error) => Err(error),
        }
    }

    /// Id and password hash.
    pub(crate) async fn find_user(
        &self,
        username: &str,
    ) -> Result<Option<(i64, String)>, sqlx::Error> {
        either!(self, reads, pool => {
            sqlx::query_as(FIND_USER).bind(username).fetch_optional(pool).await
        })
    }

    pub(crate) async fn insert_session(
        &self,
        digest: &[u8; 32],
        user_id: i64,
        now_ms: i64,
        expires_at_ms: i64,
    ) -> Result<(), sqlx::Error> {
        either!(self, writes, pool => {
            sqlx::query(INSERT_SESSION)
                .bind(&digest[..])
                .bind(user_id)
                .bind(now_ms)
                .bind(expires_at_ms)
                .execute(pool)
                .await?;
        });
        Ok(())
    }

    pub(crate) async fn session_is_live(
        &self,
        digest: &[u8; 32],
        now_ms: i64,
    ) -> Result<bool, sqlx::Error> {
        either!(self, reads, pool => {
            let found =
                sqlx::query(SESSION_IS_LIVE).bind(&digest[..]).bind(now_ms).fetch_optional(pool);
            Ok(found.await?.is_some())
        })
    }

    pub(crate) async fn end_session(
        &self,
        digest: &[u8; 32],
        now_ms: i64,
    ) -> Result<bool, sqlx::Error> {
        either!(self, writes, pool => {
            let done = sqlx::query(END_SESSION).bind(&digest[..]).bind(now_ms).execute(pool);
            Ok(done.await?.rows_affected() == 1)
        })
    }
}

macro_rules! product_rows {
    ($insert:literal) => {
        concat!(
            $insert,
            " INTO product (id, name, description, price_minor, currency) VALUES ",
            "(1, 'Field notebook', 'Ninety-six dotted pages, thread-bound, lies flat.', 1250, 'EUR'), ",
            "(2, 'Brass key ring', 'Solid brass, holds up to eight keys.', 1890, 'EUR'), ",
            "(3, 'Enamel mug', 'Three decilitres, fit for a campfire.', 1490, 'EUR'), ",
            "(4, 'Wool blanket', 'Undyed wool, 130 by 180 centimetres.', 8900, 'EUR')"
        )
    };
}

const SQLITE_TABLES: [&str; 4] = [
    "CREATE TABLE IF NOT EXISTS user (
        id INTEGER PRIMARY KEY, username TEXT NOT NULL UNIQUE, password_hash TEXT NOT NULL,
        name TEXT, age INTEGER, created_at_ms INTEGER NOT NULL) STRICT",
    "CREATE TABLE IF NOT EXISTS session (
        token_digest BLOB PRIMARY KEY, user_id INTEGER NOT NULL,
        created_at_ms INTEGER NOT NULL, expires_at_ms INTEGER NOT NULL) STRICT, WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS product (
        id INTEGER PRIMARY KEY, name TEXT NOT NULL, description TEXT NOT NULL,
        price_minor INTEGER NOT NULL, currency TEXT NOT NULL) STRICT",
    product_rows!("INSERT OR IGNORE"),
];

const MYSQL_TABLES: [&str; 4] = [
    "CREATE TABLE IF NOT EXISTS user (
        id BIGINT AUTO_INCREMENT PRIMARY KEY, username VARCHAR(32) CHARACTER SET ascii NOT NULL UNIQUE,
        password_hash VARCHAR(255) CHARACTER SET ascii NOT NULL, name VARCHAR(255), age TINYINT UNSIGNED,
        created_at_ms BIGINT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS session (
        token_digest BINARY(32) PRIMARY KEY, user_id BIGINT NOT NULL,
        created_at_ms BIGINT NOT NULL, expires_at_ms BIGINT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS product (
        id BIGINT PRIMARY KEY, name VARCHAR(255) NOT NULL, description VARCHAR(1000) NOT NULL,
        price_minor BIGINT NOT NULL, currency CHAR(3) NOT NULL)",
    product_rows!("INSERT IGNORE"),
];
