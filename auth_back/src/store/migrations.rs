//! The schema's history, and which part of it a database still needs.
//!
//! The files live in `sql/`, one folder for each database, and are compiled in. They are numbered from 1
//! without gaps and only ever added to: a file that was released is never edited, a mistake in it is
//! mended by the next one. The table `schema_migration` says which have been applied, with the SHA-256
//! of each file, the same that `sha256sum sql/mysql/0001_users_sessions.sql` prints.
//!
//! How a store applies them, and how it keeps two servers from doing so at once, is its own affair;
//! here is only what both must agree on.

use std::fmt::Write as _;
use std::time::UNIX_EPOCH;

use sha2::{Digest as _, Sha256};
use thiserror::Error;

use super::error::StoreError;

/// One file of `sql/`.
#[derive(Debug)]
pub(super) struct Migration {
    pub(super) version: u32,
    pub(super) name: &'static str,
    pub(super) sql: &'static str,
}

macro_rules! migrations {
    ($folder:literal: $($version:literal $name:literal),+ $(,)?) => {
        &[$(Migration {
            version: $version,
            name: $name,
            sql: include_str!(concat!("../../../sql/", $folder, "/", $name, ".sql")),
        }),+]
    };
}

pub(super) const MYSQL: &[Migration] = migrations!["mysql": 1 "0001_users_sessions", 2 "0002_products", 3 "0003_session_control",
                4 "0004_peppers"];

pub(super) const SQLITE: &[Migration] = migrations!["sqlite": 1 "0001_users_sessions", 2 "0002_products", 3 "0003_session_control",
                4 "0004_peppers"];

const _: () = assert!(are_numbered_without_gaps(MYSQL));
const _: () = assert!(are_numbered_without_gaps(SQLITE));
// A version means the same schema in either database.
const _: () = assert!(MYSQL.len() == SQLITE.len());

const fn are_numbered_without_gaps(migrations: &[Migration]) -> bool {
    let mut index = 0;
    while index < migrations.len() {
        if migrations[index].version as usize != index + 1 {
            return false;
        }
        index += 1;
    }
    true
}

/// What [`Store::migrate`](super::Store::migrate) did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Migrated {
    /// The schema's version before; 0 for an empty database.
    pub from: u32,
    /// The schema's version now.
    pub to: u32,
}

/// Why a database could not be brought to this program's schema.
#[derive(Debug, Error)]
pub enum MigrationError {
    /// A newer program has migrated this database. Whoever deployed the older one is at fault.
    #[error(
        "the database has schema version {found}, this program knows up to {known}: deploy a newer one"
    )]
    Newer {
        /// The database's version.
        found: u32,
        /// The newest version that is compiled in.
        known: u32,
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

/// The migrations that a database still needs, given those it has `applied`, ordered by version.
pub(super) fn pending<'m>(
    known: &'m [Migration],
    applied: &[Applied],
) -> Result<&'m [Migration], MigrationError> {
    let newest = known.last().map_or(0, |migration| migration.version);
    if let Some(last) = applied.last().filter(|last| last.version > newest) {
        return Err(MigrationError::Newer { found: last.version, known: newest });
    }
    for (migration, applied) in known.iter().zip(applied) {
        if migration.version != applied.version {
            return Err(MigrationError::Gap { version: migration.version });
        }
        if migration.checksum() != applied.checksum {
            return Err(MigrationError::Changed { version: migration.version });
        }
    }
    Ok(&known[applied.len().min(known.len())..])
}

/// For the record only; nothing depends on it.
pub(super) fn now_ms() -> i64 {
    let since_1970 = clock::wall().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_1970.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: &[Migration] = &[
        Migration { version: 1, name: "0001_a", sql: "A;" },
        Migration { version: 2, name: "0002_b", sql: "B;" },
        Migration { version: 3, name: "0003_c", sql: "C;" },
    ];

    fn applied(version: u32, sql: &'static str) -> Applied {
        Applied { version, checksum: Migration { version, name: "", sql }.checksum() }
    }

    #[track_caller]
    fn check_pending(applied: &[Applied], expected: Result<&[u32], &str>) {
        let pending = pending(KNOWN, applied)
            .map(|rest| rest.iter().map(|migration| migration.version).collect::<Vec<_>>())
            .map_err(|error| error.to_string());
        assert_eq!(pending.as_deref().map_err(String::as_str), expected);
    }

    #[test]
    fn what_is_pending() {
        let (a, b, c) = (applied(1, "A;"), applied(2, "B;"), applied(3, "C;"));
        check_pending(&[], Ok(&[1, 2, 3]));
        check_pending(std::slice::from_ref(&a), Ok(&[2, 3]));
        check_pending(&[a.clone(), b.clone(), c.clone()], Ok(&[]));
        check_pending(
            &[a.clone(), applied(2, "B; ")],
            Err(
                "migration 2 was applied from a different file: released migrations must not be edited",
            ),
        );
        check_pending(
            &[a.clone(), c.clone()],
            Err("the record of migration 2 is missing although later ones are there"),
        );
        check_pending(
            &[a, b, c, applied(4, "D;")],
            Err(
                "the database has schema version 4, this program knows up to 3: deploy a newer one",
            ),
        );
    }

    #[track_caller]
    fn check_statements(sql: &'static str, expected: &[&str]) {
        let migration = Migration { version: 1, name: "", sql };
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
        let migration = Migration { version: 1, name: "", sql: "abc" };
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
            let idempotent = statement.starts_with("CREATE TABLE IF NOT EXISTS")
                || statement.contains("ON DUPLICATE KEY UPDATE")
                // Passed over where the column is there: see `mysql/migrate.rs`.
                || adds_one_column;
            assert!(idempotent, "a crash after this statement could not be resumed:\n{statement}");
        }
    }
}
