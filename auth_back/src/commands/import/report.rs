//! What was wrong with which line, for the operator and for the report.

use std::fmt::Display;
use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;

use indicatif::ProgressBar;
use serde_json::json;

use crate::commands::{ascii_json, tell};
use crate::credentials::Username;
use crate::limits::IMPORT_ERRORS_SHOWN_MAX;

/// Tells refused lines on standard error, up to a bound, and all of them in the report.
pub(super) struct Report {
    file: Option<BufWriter<File>>,
    refused: u64,
}

impl Report {
    /// Opens the report, for its owner alone: it has usernames. One of that name is replaced.
    pub(super) fn open(path: Option<&String>) -> io::Result<Self> {
        let file = path.map(|path| {
            File::options().write(true).create(true).truncate(true).mode(0o600).open(path)
        });
        Ok(Self { file: file.transpose()?.map(BufWriter::new), refused: 0 })
    }

    pub(super) fn refused(&self) -> u64 {
        self.refused
    }

    /// Tells that a line was refused. The name is told where it is one.
    pub(super) fn refuse(
        &mut self,
        line: u64,
        username: Option<&Username>,
        why: &dyn Display,
        bar: &ProgressBar,
    ) -> io::Result<()> {
        self.refused += 1;
        if let Some(file) = &mut self.file {
            let username = username.map(Username::as_str);
            let entry = json!({ "line": line, "username": username, "error": why.to_string() });
            writeln!(file, "{}", ascii_json(&entry))?;
        }
        let said = match self.refused {
            ..=IMPORT_ERRORS_SHOWN_MAX => format!("line {line}: {why}"),
            n if n == IMPORT_ERRORS_SHOWN_MAX + 1 => {
                "further lines were refused; --report FILE has all of them".to_owned()
            }
            _ => return Ok(()),
        };
        bar.suspend(|| tell(&said));
        Ok(())
    }

    /// Has everything written.
    pub(super) fn finish(mut self) -> io::Result<()> {
        self.file.as_mut().map_or(Ok(()), io::Write::flush)
    }
}
