//! Where a password comes from: the terminal, or standard input. Never the command line, which every user
//! of the machine can read, and shells write down.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::AsFd as _;

use credentials::limits::PASSWORD_INPUT_BYTES_MAX;
use zeroize::Zeroizing;

/// Why there is no password. Whoever runs the command is at fault.
#[derive(Debug, thiserror::Error)]
pub(super) enum AskError {
    #[error("there is no terminal to ask for a password on ({0}); use --password-stdin")]
    NoTerminal(io::Error),
    #[error("the two are not the same")]
    Differ,
    #[error("cannot read standard input: {0}")]
    Input(io::Error),
    #[error("standard input has more than {PASSWORD_INPUT_BYTES_MAX} bytes")]
    TooLong,
    #[error("the password is not UTF-8")]
    NotUtf8,
}

/// Asks twice on the terminal, without showing what is typed; or reads standard input to its end.
pub(super) fn ask(from_stdin: bool) -> Result<Zeroizing<String>, AskError> {
    if from_stdin {
        // Past the standard library's buffer, which nobody wipes.
        let input = io::stdin().as_fd().try_clone_to_owned().map_err(AskError::Input)?;
        return read(File::from(input));
    }
    let prompt = |text| rpassword::prompt_password(text).map(Zeroizing::new);
    let first = prompt("Password: ").map_err(AskError::NoTerminal)?;
    let second = prompt("Once more: ").map_err(AskError::NoTerminal)?;
    if first == second { Ok(first) } else { Err(AskError::Differ) }
}

/// All of `input` but one line end after it. A line end within is no password, which its reader says.
fn read(input: impl io::Read) -> Result<Zeroizing<String>, AskError> {
    const ENDS: [&str; 2] = ["\r\n", "\n"];
    // Room for all that is read, so that no growing leaves a copy behind.
    let room = PASSWORD_INPUT_BYTES_MAX + ENDS[0].len() + 1;
    let mut bytes = Zeroizing::new(Vec::with_capacity(room * 2));
    input.take(room as u64).read_to_end(&mut bytes).map_err(AskError::Input)?;
    let text = str::from_utf8(&bytes).map_err(|_| AskError::NotUtf8)?;
    let text = ENDS.iter().find_map(|end| text.strip_suffix(end)).unwrap_or(text);
    if text.len() > PASSWORD_INPUT_BYTES_MAX {
        return Err(AskError::TooLong);
    }
    Ok(Zeroizing::new(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(input: &[u8], expected: Result<&str, &str>) {
        let found = read(input).map_err(|error| error.to_string());
        let found = found.as_ref().map(|text| text.as_str()).map_err(String::as_str);
        match (found, expected) {
            (Err(error), Err(part)) => assert!(error.contains(part), "{error}"),
            (found, expected) => assert_eq!(found, expected),
        }
    }

    #[test]
    fn standard_input() {
        check(b"", Ok(""));
        check(b"correct horse", Ok("correct horse"));
        check(b"correct horse\n", Ok("correct horse"));
        check(b"correct horse\r\n", Ok("correct horse"));
        check(b" correct horse \n\n", Ok(" correct horse \n"));
        check(b"correct\nhorse\n", Ok("correct\nhorse"));
        check(b"\xff\n", Err("not UTF-8"));
        let longest = "x".repeat(PASSWORD_INPUT_BYTES_MAX);
        check(format!("{longest}\r\n").as_bytes(), Ok(&longest));
        check(format!("{longest}x\n").as_bytes(), Err("more than"));
        check(&[b'x'; 1 << 20], Err("more than"));
    }
}
