//! The schema's history, and which part of it a database still needs.
//!
//! The files live in `sql/`, one folder for each database, and are compiled in. They are numbered from 1
//! without gaps and only ever added to: a file that was released is never edited, a mistake in it is
//! mended by the next one. The table `schema_migration` says which have been applied, with the SHA-256
//! of each file, the same that `sha256sum sql/mysql/0001_users_sessions.sql` prints.
//!
//! A migration only adds, so servers of the release before go on running on what it makes: what it makes
//! obsolete goes one release later. Each says which schema's servers are the oldest that may
//! ([`Migration::oldest`]), and the database keeps that, so that a server which is older than the database
//! knows whether it may serve.
//!
//! How a store applies them, and how it keeps two servers from doing so at once, is its own affair;
//! here is only what both must agree on.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};
use thiserror::Error;

use super::error::StoreError;

/// One file of `sql/`.
#[derive(Debug)]
pub(super) struct Migration {
    pub(super) version: u32,
    pub(super) name: &'static str,
    /// The oldest schema whose servers may run on a database that has this migration.
    pub(super) oldest: u32,
    pub(super) sql: &'static str,
}

macro_rules! migrations {
    ($folder:literal: $($version:literal $name:literal runs $oldest:literal),+ $(,)?) => {
        &[$(Migration {
            version: $version,
            name: $name,
            oldest: $oldest,
            sql: include_str!(concat!("../../../sql/", $folder, "/", $name, ".sql")),
        }),+]
    };
}

pub(super) const MYSQL: &[Migration] = migrations![
    "mysql":
    1 "0001_users_sessions" runs 1,
    2 "0002_products" runs 2,
    3 "0003_session_control" runs 3,
    4 "0004_peppers" runs 4,
    5 "0005_wider_names" runs 4,
    6 "0006_token_keys" runs 5,
    7 "0007_installation" runs 6,
];

pub(super) const SQLITE: &[Migration] = migrations![
    "sqlite":
    1 "0001_users_sessions" runs 1,
    2 "0002_products" runs 2,
    3 "0003_session_control" runs 3,
    4 "0004_peppers" runs 4,
    5 "0005_wider_names" runs 4,
    6 "0006_token_keys" runs 5,
    7 "0007_installation" runs 6,
];

const _: () = assert!(are_numbered_without_gaps(MYSQL));
const _: () = assert!(are_numbered_without_gaps(SQLITE));
// A version means the same schema in either database, and lets the same servers run.
const _: () = assert!(MYSQL.len() == SQLITE.len());
const _: () = {
    let mut index = 0;
    while index < MYSQL.len() {
        assert!(MYSQL[index].oldest == SQLITE[index].oldest);
        index += 1;
    }
};

/// The first migration whose entry in `schema_migration` says which servers may run: it adds the column.
pub(super) const SAYS_OLDEST: u32 = 5;

/// The table of which migrations were applied.
pub(super) const RECORD: &str = "schema_migration";

/// Tables that only the first migration makes. Where they are without a record, they are somebody else's.
const FIRST_TABLES: [&str; 2] = ["user", "session"];

const fn are_numbered_without_gaps(migrations: &[Migration]) -> bool {
    let mut index = 0;
    while index < migrations.len() {
        let Migration { version, oldest, .. } = migrations[index];
        if version as usize != index + 1 || oldest == 0 || oldest > version {
            return false;
        }
        index += 1;
    }
    true
}

/// What a database has of the schema; see [`Store::schema`](super::Store::schema).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schema {
    /// The database is empty.
    None,
    /// This program needs a newer one.
    Older {
        /// The database's version; 0 where others have tables and Gatehouse has none.
        found: u32,
        /// The version that this program needs.
        needed: u32,
    },
    /// This program may run on it.
    Fits {
        /// The database's version, which may be newer than this program's.
        version: u32,
    },
}

/// What [`Store::migrate`](super::Store::migrate) did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Migrated {
    /// The schema's version before; 0 for a database without one.
    pub from: u32,
    /// The schema's version now.
    pub to: u32,
}

/// Why this program cannot run on a database's schema, or could not bring the database to its own.
#[derive(Debug, Error)]
pub enum MigrationError {
    /// A newer program has migrated this database, so far that this one may no longer run on it. Whoever
    /// started the older one is at fault.
    #[error(
        "the database has schema version {found}, which takes servers of schema {oldest} or later; this \
         program has {known}: start a newer release"
    )]
    Newer {
        /// The database's version.
        found: u32,
        /// The oldest schema whose servers may run on it.
        oldest: u32,
        /// The newest version that is compiled in.
        known: u32,
    },
    /// The database has tables that bear the names of ours, and no record that we made them. Whoever
    /// named the database is at fault.
    #[error(
        "the database has a table `{table}` that is not Gatehouse's, as far as can be told without \
         `schema_migration`: give Gatehouse a database of its own"
    )]
    Foreign {
        /// The table.
        table: &'static str,
    },
    /// A migration's file is not what was applied. Whoever edited a released file is at fault, or the
    /// table that records it.
    #[error(
        "migration {version} was applied from a different file: released migrations must not be edited"
    )]
    Changed {
        /// The migration's number.
        version: u32,
    },
    /// The record of migrations has a hole. Whoever edited the table is at fault.
    #[error("the record of migration {version} is missing although later ones are there")]
    Gap {
        /// The number that is missing.
        version: u32,
    },
    /// The store failed. Migrating again goes on where it stopped.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A row of `schema_migration`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Applied {
    pub(super) version: u32,
    pub(super) checksum: String,
    /// See [`Migration::oldest`]; none where an older program applied it.
    pub(super) oldest: Option<u32>,
}

impl Migration {
    /// SHA-256 of the file, in lower-case hex.
    pub(super) fn checksum(&self) -> String {
        Sha256::digest(self.sql).iter().fold(String::with_capacity(64), |mut hex, byte| {
            // Writing to a String cannot fail.
            let _ = write!(hex, "{byte:02x}");
            hex
        })
    }

    /// The file's statements in order, without comments between them.
    ///
    /// A statement ends with the line that ends in `;`. That is enough for files we write ourselves,
    /// and a full parser would be larger than all of them.
    pub(super) fn statements(&self) -> impl Iterator<Item = String> {
        let mut lines = self.sql.lines().filter(|line| !line.trim_start().starts_with("--"));
        std::iter::from_fn(move || {
            let mut statement = String::new();
            for line in lines.by_ref() {
                statement.push_str(line);
                statement.push('\n');
                if line.trim_end().ends_with(';') {
                    break;
                }
            }
            let statement = statement.trim().trim_end_matches(';').to_owned();
            (!statement.is_empty()).then_some(statement)
        })
    }
}

/// What a database has, given the names of its `tables` and the migrations it has `applied`, ordered by
/// version.
pub(super) fn assess(
    known: &[Migration],
    tables: &[String],
    applied: &[Applied],
) -> Result<Schema, MigrationError> {
    let pending = pending(known, tables, applied)?;
    let found = applied.last().map_or(0, |last| last.version);
    Ok(match pending.last() {
        // A first start that was cut off has made the record, and perhaps tables, before it could write what it did.
        Some(_) if tables.is_empty() || (found == 0 && is_ours(tables)) => Schema::None,
        Some(last) => Schema::Older { found, needed: last.version },
        None => Schema::Fits { version: found },
    })
}

/// Whether tables are Gatehouse's, of any release.
fn is_ours(tables: &[String]) -> bool {
    tables.iter().any(|table| table == RECORD)
}

/// The migrations that a database still needs, given the names of its `tables` and those it has `applied`,
/// ordered by version. None, where it has newer ones that this program may run on.
pub(super) fn pending<'m>(
    known: &'m [Migration],
    tables: &[String],
    applied: &[Applied],
) -> Result<&'m [Migration], MigrationError> {
    let has = |name: &str| tables.iter().any(|table| table == name);
    if let Some(table) = FIRST_TABLES.into_iter().find(|table| !is_ours(tables) && has(table)) {
        return Err(MigrationError::Foreign { table });
    }
    for (migration, applied) in known.iter().zip(applied) {
        if migration.version != applied.version {
            return Err(MigrationError::Gap { version: migration.version });
        }
        if migration.checksum() != applied.checksum {
            return Err(MigrationError::Changed { version: migration.version });
        }
    }
    let known_to = known.last().map_or(0, |migration| migration.version);
    let newer = applied.iter().filter(|applied| applied.version > known_to);
    let oldest = newer.map(|applied| applied.oldest.unwrap_or(applied.version)).max();
    if let (Some(oldest), Some(last)) = (oldest.filter(|oldest| *oldest > known_to), applied.last())
    {
        return Err(MigrationError::Newer { found: last.version, oldest, known: known_to });
    }
    Ok(known.get(applied.len()..).unwrap_or_default())
}

/// This machine's clock as a column has it, never negative.
pub(super) fn now_ms() -> i64 {
    i64::try_from(unix_time::unix_ms(clock::wall())).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: &[Migration] = &[
        Migration { version: 1, name: "0001_a", oldest: 1, sql: "A;" },
        Migration { version: 2, name: "0002_b", oldest: 1, sql: "B;" },
        Migration { version: 3, name: "0003_c", oldest: 2, sql: "C;" },
    ];

    fn migration(version: u32, sql: &'static str) -> Migration {
        Migration { version, name: "", oldest: 1, sql }
    }

    fn applied(version: u32, sql: &'static str) -> Applied {
        Applied { version, checksum: migration(version, sql).checksum(), oldest: None }
    }

    fn newer(version: u32, oldest: u32) -> Applied {
        Applied { version, checksum: "not known here".to_owned(), oldest: Some(oldest) }
    }

    /// `tables` beside the record of migrations, if there is one.
    #[track_caller]
    fn check(tables: &[&str], applied: &[Applied], expected: Result<Schema, &str>) {
        let tables: Vec<String> = tables.iter().map(|&table| table.to_owned()).collect();
        let found = assess(KNOWN, &tables, applied).map_err(|error| error.to_string());
        assert_eq!(found.as_ref().copied().map_err(String::as_str), expected);
    }

    const OURS: &[&str] = &[RECORD, "user", "session"];

    #[test]
    fn what_a_database_has() {
        let (a, b, c) = (applied(1, "A;"), applied(2, "B;"), applied(3, "C;"));
        check(&[], &[], Ok(Schema::None));
        // A server died while it made the first schema.
        check(OURS, &[], Ok(Schema::None));
        check(OURS, std::slice::from_ref(&a), Ok(Schema::Older { found: 1, needed: 3 }));
        let all = [a.clone(), b, c.clone()];
        check(OURS, &all, Ok(Schema::Fits { version: 3 }));
        check(
            OURS,
            &[a.clone(), applied(2, "B; ")],
            Err(
                "migration 2 was applied from a different file: released migrations must not be edited",
            ),
        );
        check(
            OURS,
            &[a, c],
            Err("the record of migration 2 is missing although later ones are there"),
        );
    }

    #[test]
    fn a_newer_database_says_who_may_run_on_it() {
        let with = |newer: &[Applied]| {
            let all = [applied(1, "A;"), applied(2, "B;"), applied(3, "C;")];
            [&all[..], newer].concat()
        };
        check(OURS, &with(&[newer(4, 3)]), Ok(Schema::Fits { version: 4 }));
        check(OURS, &with(&[newer(4, 1), newer(5, 3)]), Ok(Schema::Fits { version: 5 }));
        let too_new = |found, oldest| {
            format!(
                "the database has schema version {found}, which takes servers of schema {oldest} or \
                 later; this program has 3: start a newer release"
            )
        };
        check(OURS, &with(&[newer(4, 4)]), Err(&too_new(4, 4)));
        // One that took others away is not made good by a later one.
        check(OURS, &with(&[newer(4, 4), newer(5, 3)]), Err(&too_new(5, 4)));
        // Programs that knew no such rule let none but their own run.
        let silent = Applied { oldest: None, ..newer(4, 1) };
        check(OURS, &with(&[silent]), Err(&too_new(4, 4)));
        // That this program may run is no reason to overlook that it was tampered with.
        let tampered = [applied(1, "X;"), applied(2, "B;"), applied(3, "C;"), newer(4, 3)];
        check(
            OURS,
            &tampered,
            Err(
                "migration 1 was applied from a different file: released migrations must not be edited",
            ),
        );
    }

    #[test]
    fn tables_of_others_are_left_alone() {
        check(&["wp_posts"], &[], Ok(Schema::Older { found: 0, needed: 3 }));
        for table in ["user", "session"] {
            check(
                &["wp_posts", table],
                &[],
                Err(&format!(
                    "the database has a table `{table}` that is not Gatehouse's, as far as can be told \
                     without `schema_migration`: give Gatehouse a database of its own"
                )),
            );
        }
    }

    #[track_caller]
    fn check_statements(sql: &'static str, expected: &[&str]) {
        let migration = migration(1, sql);
        assert_eq!(migration.statements().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn statements_end_with_a_line_that_ends_in_a_semicolon() {
        check_statements("", &[]);
        check_statements("-- only a comment;\n", &[]);
        check_statements("A;\nB;", &["A", "B"]);
        check_statements("A\n  'x;y'\n  -- why;\n  z;\n\n-- c\nB", &["A\n  'x;y'\n  z", "B"]);
    }

    #[test]
    fn a_checksum_is_the_sha256_of_the_file() {
        // From `printf abc | sha256sum`; FIPS 180-4 has the same example.
        let migration = migration(1, "abc");
        assert_eq!(
            migration.checksum(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    #[test]
    fn mysql_statements_may_be_repeated() {
        for statement in MYSQL.iter().flat_map(Migration::statements) {
            let adds_one_column = statement.starts_with("ALTER TABLE ")
                && statement.matches("ADD COLUMN ").count() == 1
                && ["ADD ", "DROP ", "CHANGE ", "MODIFY ", "RENAME "]
                    .iter()
                    .map(|clause| statement.matches(clause).count())
                    .sum::<usize>()
                    == 1;
            // To a type that it has already, it changes nothing.
            let alters_one_column = statement.starts_with("ALTER TABLE ")
                && statement.matches("MODIFY COLUMN ").count() == 1
                && !statement.contains(',');
            let idempotent = statement.starts_with("CREATE TABLE IF NOT EXISTS")
                || alters_one_column
                || statement.contains("ON DUPLICATE KEY UPDATE")
                // Passed over where the column is there: see `mysql/migrate.rs`.
                || adds_one_column;
            assert!(idempotent, "a crash after this statement could not be resumed:\n{statement}");
        }
    }
}
