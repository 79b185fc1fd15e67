//! Files of users: what `import` reads and `export` writes.
//!
//! One user a line, as CSV (RFC 4180, comma, a header first) or as JSON objects. A cell of CSV has no line
//! break, so a quote that is not closed spoils one line and not the rest of the file.
//!
//! | column | what | at import |
//! |---|---|---|
//! | `username` | the name to log in with | needed |
//! | `password_hash` | PHC, modular crypt, Django's form; or sealed, as `export` writes it | needed |
//! | `name`, `age` | of their owner | may be missing or empty |
//! | `created_at` | RFC 3339, or a date | now, if missing or empty |
//! | `disabled` | `true`, `false`, or since when, in RFC 3339 | `false`, if missing or empty |
//! | `user_id` | the id | with a sealed hash only, which is bound to it |
//!
//! # Formulas
//!
//! A spreadsheet runs a cell that starts with `=`, `+`, `-`, `@`, a tab or a carriage return, and some
//! run their full-width forms. In CSV such a cell is written with an apostrophe before it, which spreadsheets
//! take for "this is text". Reading takes it away again. So that nothing is lost, a cell that has
//! apostrophes before such a character gets one more; any other cell that starts with one, such as
//! `'t Hooft`, stays as it is.

mod cells;
mod lines;

use std::path::Path;

use clap::Arg;
use clap::builder::PossibleValuesParser;

pub(super) use cells::{Cells, Columns};
pub(super) use lines::{Line, Lines};

/// How a file of users is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Csv,
    JsonLines,
}

/// A column, in the order in which they are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Column {
    UserId,
    Username,
    PasswordHash,
    Name,
    Age,
    CreatedAt,
    Disabled,
}

impl Format {
    /// The argument that says it.
    pub(super) fn argument() -> Arg {
        Arg::new("format")
            .long("format")
            .value_name("FORMAT")
            .value_parser(PossibleValuesParser::new(["csv", "jsonl"]))
            .help("What the file is; by default, what its name ends with")
    }

    /// What was said, or what the name of the file says.
    pub(super) fn of(said: Option<&str>, path: &str) -> Result<Self, &'static str> {
        let ending = Path::new(path).extension().and_then(|ending| ending.to_str());
        match said.or(ending) {
            Some("csv") => Ok(Self::Csv),
            Some("jsonl") => Ok(Self::JsonLines),
            _ => Err("the name ends neither with .csv nor .jsonl: say --format csv or jsonl"),
        }
    }
}

impl Column {
    pub(super) const ALL: [Self; 7] = [
        Self::UserId,
        Self::Username,
        Self::PasswordHash,
        Self::Name,
        Self::Age,
        Self::CreatedAt,
        Self::Disabled,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::UserId => "user_id",
            Self::Username => "username",
            Self::PasswordHash => "password_hash",
            Self::Name => "name",
            Self::Age => "age",
            Self::CreatedAt => "created_at",
            Self::Disabled => "disabled",
        }
    }

    fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|column| column.name() == name)
    }
}

/// A cell as a spreadsheet may see it.
pub(super) fn disarm(cell: &str) -> String {
    let apostrophe = if is_armed(cell) { "'" } else { "" };
    format!("{apostrophe}{cell}")
}

/// The cell that [`disarm`] was given.
fn rearm(cell: &str) -> &str {
    match cell.strip_prefix('\'') {
        Some(rest) if is_armed(rest) => rest,
        _ => cell,
    }
}

/// Whether a spreadsheet might run what comes after any apostrophes.
fn is_armed(cell: &str) -> bool {
    let first = cell.trim_start_matches('\'').chars().next();
    matches!(first, Some('=' | '+' | '-' | '@' | '\t' | '\r' | '\n' | '＝' | '＋' | '－' | '＠'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn formulas_are_disarmed() {
        let check = |cell: &str, expected: &str| {
            assert_eq!(disarm(cell), expected);
            assert_eq!(rearm(expected), cell);
        };
        check("", "");
        check("Ada", "Ada");
        check("=1+1", "'=1+1");
        check("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0");
        check("+1", "'+1");
        check("-1", "'-1");
        check("@SUM(A1)", "'@SUM(A1)");
        check("\t=1", "'\t=1");
        check("\r=1", "'\r=1");
        check("＝1", "'＝1");
        check("1=1", "1=1");
        check("'t Hooft", "'t Hooft");
        check("'", "'");
        check("''", "''");
        check("'=1", "''=1");
        check("''=1", "'''=1");
        check("$gh1$argon2id", "$gh1$argon2id");
    }

    #[test]
    fn formats() {
        let check = |said, path, expected| assert_eq!(Format::of(said, path).ok(), expected);
        check(None, "users.csv", Some(Format::Csv));
        check(None, "/a.b/users.jsonl", Some(Format::JsonLines));
        check(Some("jsonl"), "users.csv", Some(Format::JsonLines));
        check(Some("csv"), "-", Some(Format::Csv));
        check(None, "-", None);
        check(None, "users.txt", None);
        check(None, "csv", None);
    }

    proptest! {
        #[test]
        fn any_cell_comes_back_and_none_is_a_formula(cell in "['=+@\t\r a-]{0,6}|\\PC{0,9}") {
            let disarmed = disarm(&cell);
            prop_assert_eq!(rearm(&disarmed), &cell);
            prop_assert!(!disarmed.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠']));
        }
    }
}
