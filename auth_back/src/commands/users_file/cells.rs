//! A line as cells: the same for both formats from here on.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, Visitor};
use zeroize::Zeroizing;

use super::{Column, rearm};
use crate::limits::IMPORT_COLUMNS_MAX;

/// What the lines of a file have.
#[derive(Debug)]
pub(in super::super) enum Columns {
    /// The header of a CSV file said so; `None` for a column that is passed over.
    Csv(Vec<Option<Column>>),
    /// Each object says so itself.
    JsonLines {
        /// Whether other keys are passed over.
        ignore_others: bool,
    },
}

/// The cells of one line, by [`Column`]. Wiped on drop: one of them is a hash.
#[derive(Default)]
pub(in super::super) struct Cells([Option<Zeroizing<String>>; Column::ALL.len()]);

/// Why a line has no cells. Whoever wrote it is at fault. Shows nothing of it but names of columns.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(in super::super) enum CellError {
    /// More columns than anybody needs.
    #[error("more than {IMPORT_COLUMNS_MAX} columns")]
    TooManyColumns,
    /// A column that nobody knows, printed with escapes.
    #[error(
        "there is no column {0}; known are user_id, username, password_hash, name, age, created_at and \
         disabled, and --ignore-columns passes over others"
    )]
    UnknownColumn(String),
    /// A column that stands twice.
    #[error("the column {0} stands twice")]
    Twice(&'static str),
    /// A column that each user needs.
    #[error("there is no column {0}")]
    Missing(&'static str),
    /// Another number of cells than the header has.
    #[error(
        "{found} cells, and the header has {expected}; a cell with a comma stands between quotes"
    )]
    Count {
        /// Cells of the line.
        found: usize,
        /// Cells of the header.
        expected: usize,
    },
    /// A quote without its end, or in the middle of a cell.
    #[error("a quote is not closed on its line")]
    Quote,
    /// Not an object, or an object with a value that is neither text, number, boolean nor null.
    #[error("not a JSON object of texts, numbers and booleans: near character {0}")]
    Json(usize),
}

impl Columns {
    /// Reads the header of a CSV file.
    pub(in super::super) fn header(line: &str, ignore_others: bool) -> Result<Self, CellError> {
        let cells = csv_cells(line)?;
        let mut columns = Vec::new();
        for cell in &cells {
            let column = Column::of(cell.trim());
            if let Some(column) = column.filter(|column| columns.contains(&Some(*column))) {
                return Err(CellError::Twice(column.name()));
            }
            if column.is_none() && !ignore_others {
                return Err(unknown(cell));
            }
            columns.push(column);
        }
        for needed in [Column::Username, Column::PasswordHash] {
            if !columns.contains(&Some(needed)) {
                return Err(CellError::Missing(needed.name()));
            }
        }
        Ok(Self::Csv(columns))
    }

    /// Reads a line.
    pub(in super::super) fn read(&self, line: &str) -> Result<Cells, CellError> {
        match self {
            Self::Csv(columns) => {
                let cells = csv_cells(line)?;
                if cells.len() != columns.len() {
                    let (found, expected) = (cells.len(), columns.len());
                    return Err(CellError::Count { found, expected });
                }
                let mut read = Cells::default();
                for (column, cell) in columns.iter().zip(cells) {
                    if let Some(column) = column {
                        read.0[*column as usize] = Some(Zeroizing::new(rearm(&cell).to_owned()));
                    }
                }
                Ok(read)
            }
            Self::JsonLines { ignore_others } => {
                // The text of serde's errors may quote a value, and that may be a hash.
                let object: Object =
                    serde_json::from_str(line).map_err(|error| CellError::Json(error.column()))?;
                if let Some(other) = object.others.keys().next().filter(|_| !ignore_others) {
                    return Err(unknown(other));
                }
                let Object {
                    user_id,
                    username,
                    password_hash,
                    name,
                    age,
                    created_at,
                    disabled,
                    ..
                } = object;
                let cells = [user_id, username, password_hash, name, age, created_at, disabled];
                Ok(Cells(cells.map(|cell| cell.and_then(|cell| cell.0))))
            }
        }
    }
}

impl Cells {
    /// The text of a column, unless it is missing or empty.
    pub(in super::super) fn get(&self, column: Column) -> Option<&str> {
        self.0[column as usize].as_ref().map(|cell| cell.as_str()).filter(|cell| !cell.is_empty())
    }
}

fn unknown(name: &str) -> CellError {
    let shown: String = name.chars().take(32).flat_map(char::escape_default).collect();
    CellError::UnknownColumn(format!("\"{shown}\""))
}

/// The cells of one line of CSV.
fn csv_cells(line: &str) -> Result<Vec<Zeroizing<String>>, CellError> {
    // The reader would take the end of the text for the end of a quoted cell.
    if line.bytes().filter(|byte| *byte == b'"').count() % 2 == 1 {
        return Err(CellError::Quote);
    }
    if line.is_empty() {
        return Ok(vec![Zeroizing::default()]);
    }
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .buffer_capacity(line.len().clamp(64, 4096))
        .from_reader(line.as_bytes());
    let mut record = csv::StringRecord::new();
    reader.read_record(&mut record).map_err(|_| CellError::Quote)?;
    if record.len() > IMPORT_COLUMNS_MAX {
        return Err(CellError::TooManyColumns);
    }
    Ok(record.iter().map(|cell| Zeroizing::new(cell.to_owned())).collect())
}

#[derive(Deserialize)]
struct Object {
    user_id: Option<Scalar>,
    username: Option<Scalar>,
    password_hash: Option<Scalar>,
    name: Option<Scalar>,
    age: Option<Scalar>,
    created_at: Option<Scalar>,
    disabled: Option<Scalar>,
    #[serde(flatten)]
    others: BTreeMap<String, IgnoredAny>,
}

/// A text, number, boolean or null, as text.
struct Scalar(Option<Zeroizing<String>>);

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Scalars;
        impl Visitor<'_> for Scalars {
            type Value = Scalar;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text, a number or a boolean")
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Scalar, E> {
                Ok(Scalar(Some(Zeroizing::new(text.to_owned()))))
            }
            fn visit_u64<E: Error>(self, number: u64) -> Result<Scalar, E> {
                Ok(Scalar(Some(Zeroizing::new(number.to_string()))))
            }
            fn visit_bool<E: Error>(self, truth: bool) -> Result<Scalar, E> {
                Ok(Scalar(Some(Zeroizing::new(truth.to_string()))))
            }
            fn visit_unit<E: Error>(self) -> Result<Scalar, E> {
                Ok(Scalar(None))
            }
        }
        deserializer.deserialize_any(Scalars)
    }
}

#[cfg(test)]
#[expect(clippy::needless_pass_by_value, reason = "tables of expectations read better by value")]
mod tests {
    use super::*;

    const HEADER: &str = "username,password_hash,name,age";

    #[track_caller]
    fn check_csv(line: &str, expected: Result<[Option<&str>; 4], CellError>) {
        let columns = Columns::header(HEADER, false).unwrap();
        check(&columns, line, expected);
    }

    #[track_caller]
    fn check_json(line: &str, expected: Result<[Option<&str>; 4], CellError>) {
        check(&Columns::JsonLines { ignore_others: false }, line, expected);
    }

    #[track_caller]
    fn check(columns: &Columns, line: &str, expected: Result<[Option<&str>; 4], CellError>) {
        let cells = columns.read(line);
        let found = cells.as_ref().map(|cells| {
            [Column::Username, Column::PasswordHash, Column::Name, Column::Age]
                .map(|column| cells.get(column))
        });
        assert_eq!(found, expected.as_ref().copied(), "{line}");
    }

    #[test]
    fn csv_lines() {
        check_csv("ada,$2b$,Ada,36", Ok([Some("ada"), Some("$2b$"), Some("Ada"), Some("36")]));
        check_csv("ada,,,", Ok([Some("ada"), None, None, None]));
        let lovelace = Some("Lovelace, \"Ada\"");
        check_csv("ada,h,\"Lovelace, \"\"Ada\"\"\",", Ok([Some("ada"), Some("h"), lovelace, None]));
        check_csv("ada,h,'=1+1,", Ok([Some("ada"), Some("h"), Some("=1+1"), None]));
        check_csv("ada,h,=1+1,", Ok([Some("ada"), Some("h"), Some("=1+1"), None]));
        check_csv("", Err(CellError::Count { found: 1, expected: 4 }));
        check_csv("ada,h,", Err(CellError::Count { found: 3, expected: 4 }));
        check_csv("ada,h,,,", Err(CellError::Count { found: 5, expected: 4 }));
        check_csv("ada,h,\"Ada,36", Err(CellError::Quote));
        check_csv(&",".repeat(IMPORT_COLUMNS_MAX), Err(CellError::TooManyColumns));
    }

    #[test]
    fn headers() {
        #[track_caller]
        fn check(line: &str, ignore: bool, expected: Result<(), CellError>) {
            assert_eq!(Columns::header(line, ignore).map(drop), expected, "{line}");
        }
        let unknown = |name: &str| Err(CellError::UnknownColumn(format!("\"{name}\"")));
        check("password_hash,username", false, Ok(()));
        check(" username ,\"password_hash\"", false, Ok(()));
        check("username,password_hash,email", false, unknown("email"));
        check("username,password_hash,email", true, Ok(()));
        check("username,password_hash,\u{1b}[2J", false, unknown("\\u{1b}[2J"));
        check("username,name", false, Err(CellError::Missing("password_hash")));
        check("", true, Err(CellError::Missing("username")));
        check("username,password_hash,username", false, Err(CellError::Twice("username")));
        check("{\"username\":\"ada\"}", true, Err(CellError::Missing("username")));
    }

    #[test]
    fn json_lines() {
        let full = r#"{"username":"ada","password_hash":"$2b$","name":"Ada","age":36}"#;
        check_json(full, Ok([Some("ada"), Some("$2b$"), Some("Ada"), Some("36")]));
        let bare = r#"{"username":"ada","name":null,"age":"36","disabled":true,"user_id":7}"#;
        check_json(bare, Ok([Some("ada"), None, None, Some("36")]));
        check_json(r#"{"username":"'=1"}"#, Ok([Some("'=1"), None, None, None]));
        check_json("{}", Ok([None; 4]));
        check_json(r#"{"email":"x"}"#, Err(CellError::UnknownColumn("\"email\"".to_owned())));
        let ignoring = Columns::JsonLines { ignore_others: true };
        check(
            &ignoring,
            r#"{"email":["x"],"username":"ada"}"#,
            Ok([Some("ada"), None, None, None]),
        );
        for line in [
            "",
            "[]",
            "null",
            "ada",
            r#"{"username":"ada""#,
            r#"{"username":"ada"} x"#,
            r#"{"username":["$2b$secret"]}"#,
            r#"{"username":-1}"#,
            r#"{"username":1.5}"#,
            r#"{"username":"a","username":"b"}"#,
            "{\"username\":\"a\u{0}\"}",
        ] {
            let error = ignoring.read(line).map(drop).unwrap_err();
            assert!(matches!(error, CellError::Json(_)), "{line}: {error}");
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }
}
