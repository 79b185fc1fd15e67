//! What was wrong with which line, for the operator and for the report.

use std::fmt::Display;
use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;

use credentials::Username;
use serde_json::{Value, json};

use crate::commands::console::ascii_json;
use crate::commands::progress::Progress;
use crate::limits::IMPORT_ERRORS_SHOWN_MAX;

/// Tells lines that were refused or warned of on standard error, up to a bound, and all of them in the report.
pub(super) struct Report {
    file: Option<BufWriter<File>>,
    refused: u64,
    warned: u64,
}

impl Report {
    /// Opens the report, for its owner alone: it has usernames. One of that name is replaced.
    pub(super) fn open(path: Option<&String>) -> io::Result<Self> {
        let file = path.map(|path| {
            File::options().write(true).create(true).truncate(true).mode(0o600).open(path)
        });
        Ok(Self { file: file.transpose()?.map(BufWriter::new), refused: 0, warned: 0 })
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
        progress: &Progress,
    ) -> io::Result<()> {
        self.refused += 1;
        let username = username.map(Username::as_str);
        self.write(&json!({ "line": line, "username": username, "error": why.to_string() }))?;
        show(self.refused, "refused", &format_args!("line {line}: {why}"), progress);
        Ok(())
    }

    /// Tells that a line was taken, and what will go wrong with it.
    pub(super) fn warn(
        &mut self,
        line: u64,
        username: &Username,
        warning: &str,
        progress: &Progress,
    ) -> io::Result<()> {
        self.warned += 1;
        self.write(&json!({ "line": line, "username": username.as_str(), "warning": warning }))?;
        show(self.warned, "warned of", &format_args!("line {line}: warning: {warning}"), progress);
        Ok(())
    }

    fn write(&mut self, entry: &Value) -> io::Result<()> {
        match &mut self.file {
            Some(file) => writeln!(file, "{}", ascii_json(entry)),
            None => Ok(()),
        }
    }

    /// Has everything written.
    pub(super) fn finish(mut self) -> io::Result<()> {
        self.file.as_mut().map_or(Ok(()), io::Write::flush)
    }
}

/// Shows the first few of each kind.
fn show(number: u64, what: &str, said: &dyn Display, progress: &Progress) {
    let said = match number {
        ..=IMPORT_ERRORS_SHOWN_MAX => said.to_string(),
        n if n == IMPORT_ERRORS_SHOWN_MAX + 1 => {
            format!("further lines were {what}; --report FILE has all of them")
        }
        _ => return,
    };
    progress.tell(&said);
}
