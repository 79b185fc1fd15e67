//! How far a command is that takes long: a bar on a terminal, elsewhere a line now and then.

use std::cell::{Cell, RefCell};
use std::io::{self, IsTerminal as _};
use std::time::Instant;

use indicatif::{BinaryBytes, ProgressBar, ProgressStyle};

use super::console::tell;
use crate::limits::PROGRESS_LINE_INTERVAL;

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    /// Bytes, shown with their prefixes.
    Bytes,
    /// Other things, by their name in the plural.
    Things(&'static str),
}

/// How far it is, on standard error.
pub(super) struct Progress {
    /// Hidden where there is no terminal.
    bar: ProgressBar,
    unit: Unit,
    /// How many there are in all, if that is known.
    due: Option<u64>,
    done: Cell<u64>,
    /// What else there is to say.
    message: RefCell<String>,
    told: Cell<Instant>,
}

impl Progress {
    pub(super) fn new(unit: Unit, due: Option<u64>) -> Self {
        if !io::stderr().is_terminal() {
            return Self::over(ProgressBar::hidden(), unit, due);
        }
        let counts = match (unit, due) {
            (Unit::Bytes, Some(_)) => "{bytes}/{total_bytes}, {eta} left".to_owned(),
            (Unit::Bytes, None) => "{bytes}".to_owned(),
            (Unit::Things(name), Some(_)) => format!("{{pos}}/{{len}} {name}, {{eta}} left"),
            (Unit::Things(name), None) => format!("{{pos}} {name}"),
        };
        let mark = if due.is_some() { "{bar:30}" } else { "{spinner}" };
        let style = ProgressStyle::with_template(&format!("{mark} {counts} {{msg}}"));
        let bar = due.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
        Self::over(bar.with_style(style.expect("a template of ours")), unit, due)
    }

    fn over(bar: ProgressBar, unit: Unit, due: Option<u64>) -> Self {
        let (done, message) = (Cell::new(0), RefCell::default());
        Self { bar, unit, due, done, message, told: Cell::new(clock::now()) }
    }

    /// So many are done.
    pub(super) fn set(&self, done: u64) {
        self.done.set(done);
        if !self.bar.is_hidden() {
            self.bar.set_position(done);
        } else if clock::since(self.told.get()) >= PROGRESS_LINE_INTERVAL {
            self.told.set(clock::now());
            tell(&self.line());
        }
    }

    /// So many more are done.
    pub(super) fn add(&self, count: u64) {
        self.set(self.done.get().saturating_add(count));
    }

    /// So many are done, and that is to be said beside.
    pub(super) fn set_with(&self, done: u64, message: String) {
        if !self.bar.is_hidden() {
            self.bar.set_message(message.clone());
        }
        *self.message.borrow_mut() = message;
        self.set(done);
    }

    /// Says something above the bar.
    pub(super) fn tell(&self, line: &str) {
        self.bar.suspend(|| tell(line));
    }

    /// Takes the bar away.
    pub(super) fn finish(&self) {
        self.bar.finish_and_clear();
    }

    fn line(&self) -> String {
        let done = self.done.get();
        let of = |count: u64| match self.unit {
            Unit::Bytes => BinaryBytes(count).to_string(),
            Unit::Things(_) => count.to_string(),
        };
        let mut line = of(done);
        if let Some(due) = self.due {
            line += &format!(" of {}", of(due));
        }
        if let Unit::Things(name) = self.unit {
            line += &format!(" {name}");
        }
        let message = self.message.borrow();
        if !message.is_empty() {
            line += &format!("; {message}");
        }
        line
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.finish();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        let check = |unit, due, done, message: &str, expected: &str| {
            let progress = Progress::over(ProgressBar::hidden(), unit, due);
            progress.set_with(done, message.to_owned());
            assert_eq!(progress.line(), expected);
        };
        check(Unit::Things("records"), Some(9), 3, "", "3 of 9 records");
        check(Unit::Things("users"), None, 3, "", "3 users");
        check(
            Unit::Bytes,
            Some(2 << 20),
            1 << 20,
            "5 imported",
            "1.00 MiB of 2.00 MiB; 5 imported",
        );
        check(Unit::Bytes, None, 1 << 20, "", "1.00 MiB");
    }
}
