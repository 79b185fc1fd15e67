//! The question before something is taken from more than one user.
//!
//! One manner for all such commands: they say what will end; on a terminal they ask, elsewhere they want `--yes`.
//! Commands about one named user do not ask.

use std::io::{self, BufRead, IsTerminal as _, Write as _};

use clap::{Arg, ArgAction, ArgMatches};

use super::console::tell;

const YES: &str = "yes";

/// The switch that answers the question.
pub(super) fn switch() -> Arg {
    Arg::new(YES)
        .long(YES)
        .action(ArgAction::SetTrue)
        .help("Do not ask; needed where standard input is no terminal")
}

/// Why nothing was done.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unconfirmed {
    /// There is nobody to ask. Whoever gave the command is at fault.
    #[error("nothing was done: standard input is no terminal to ask on; --yes answers")]
    NobodyToAsk,
    /// The operator thought better of it.
    #[error("nothing was done")]
    Declined,
}

/// Says what will end, and goes on only if that is wanted. Blocks for the answer.
pub(super) fn confirm(what_ends: &str, arguments: &ArgMatches) -> Result<(), Unconfirmed> {
    tell(what_ends);
    if arguments.get_flag(YES) {
        return Ok(());
    }
    let stdin = io::stdin();
    if !stdin.is_terminal() {
        return Err(Unconfirmed::NobodyToAsk);
    }
    // Standard error may be closed; then nobody has read what ends, and the answer is theirs all the same.
    let _ = write!(io::stderr(), "Do it? [y/N] ");
    answer(stdin.lock())
}

/// Only a plain yes is one; the end of the input and an error are none.
fn answer(mut input: impl BufRead) -> Result<(), Unconfirmed> {
    let mut line = String::new();
    match input.read_line(&mut line) {
        Ok(_) if ["y", "yes"].contains(&line.trim().to_lowercase().as_str()) => Ok(()),
        Ok(_) | Err(_) => Err(Unconfirmed::Declined),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_plain_yes_is_one() {
        let check = |typed: &str, expected: bool| {
            assert_eq!(answer(typed.as_bytes()).is_ok(), expected, "{typed:?}");
        };
        for yes in ["y\n", "Y\n", "yes\r\n", "YES", " y \n"] {
            check(yes, true);
        }
        for no in ["", "\n", "n\n", "no\n", "yess\n", "1\n", "\0y\n"] {
            check(no, false);
        }
    }
}
