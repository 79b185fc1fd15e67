//! What of a log is shown below a panic.

use crate::limits::{LOG_LINE_CHARS_SHOWN, LOG_LINES_SHOWN};

/// Shows the end of `log` on standard error: a report that is shortened loses its middle, which is where the cause would be.
pub(crate) fn show(name: &str, address: impl std::fmt::Display, log: &str) {
    eprintln!("--- {name} at {address} logged at last:");
    let lines: Vec<&str> = log.lines().collect();
    for line in &lines[lines.len().saturating_sub(LOG_LINES_SHOWN)..] {
        eprintln!("{}", line.chars().take(LOG_LINE_CHARS_SHOWN).collect::<String>());
    }
    eprintln!("---");
}
