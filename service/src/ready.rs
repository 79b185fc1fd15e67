//! The line that a server prints on standard output once it listens.
//!
//! ```text
//! listening http_front http=127.0.0.1:8080 ops=127.0.0.1:9080
//! ```
//!
//! It is the only line on standard output, so a script or a test that starts a server on port 0 reads
//! one line, knows that connecting works from now on, and where to.

use std::{
    fmt,
    io::{self, Write},
    net::SocketAddr,
    str::FromStr,
};

use crate::limits::READY_PLACES_MAX;

/// The first word of the line.
const FIRST_WORD: &str = "listening";

/// A server by its name and the places where it listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ready {
    program: String,
    places: Vec<(String, SocketAddr)>,
}

impl Ready {
    /// A server that listens at `places`, each an address with the name of what is spoken there.
    ///
    /// # Errors
    ///
    /// [`ReadyError::Name`] for a name that is not made of `a-z 0-9 - _`, [`ReadyError::Twice`] for
    /// one that is given twice, [`ReadyError::Places`] for none or more than [`READY_PLACES_MAX`].
    pub fn new<'a>(
        program: &str,
        places: impl IntoIterator<Item = (&'a str, SocketAddr)>,
    ) -> Result<Self, ReadyError> {
        let mut ready = Self { program: checked(program)?, places: Vec::new() };
        for (name, address) in places {
            if ready.address(name).is_some() {
                return Err(ReadyError::Twice(checked(name)?));
            }
            if ready.places.len() == READY_PLACES_MAX {
                return Err(ReadyError::Places);
            }
            ready.places.push((checked(name)?, address));
        }
        if ready.places.is_empty() { Err(ReadyError::Places) } else { Ok(ready) }
    }

    /// The name of the server.
    #[must_use]
    pub fn program(&self) -> &str {
        &self.program
    }

    /// Where `name` is spoken, such as `http`.
    #[must_use]
    pub fn address(&self, name: &str) -> Option<SocketAddr> {
        self.places.iter().find(|(known, _)| known == name).map(|(_, address)| *address)
    }

    /// Prints the line on standard output and flushes it. Blocks while a pipe is full.
    ///
    /// # Errors
    ///
    /// What the system says when standard output is closed. A server may go on without it.
    pub fn announce(&self) -> io::Result<()> {
        let mut out = io::stdout().lock();
        writeln!(out, "{self}")?;
        out.flush()
    }
}

impl fmt::Display for Ready {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{FIRST_WORD} {}", self.program)?;
        self.places.iter().try_for_each(|(name, address)| write!(f, " {name}={address}"))
    }
}

/// Reads the line, with or without its line end.
impl FromStr for Ready {
    type Err = ReadyError;

    fn from_str(line: &str) -> Result<Self, ReadyError> {
        let line = line.strip_suffix('\n').unwrap_or(line);
        let mut words = line.split(' ');
        if words.next() != Some(FIRST_WORD) {
            return Err(ReadyError::FirstWord);
        }
        let program = words.next().ok_or(ReadyError::Places)?;
        let places = words.map(|word| {
            let (name, address) = word.split_once('=').ok_or(ReadyError::Address)?;
            Ok((name, address.parse().map_err(|_| ReadyError::Address)?))
        });
        Self::new(program, places.collect::<Result<Vec<_>, ReadyError>>()?)
    }
}

/// Why there is no ready line. Whoever wrote it, or named the places, is at fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReadyError {
    /// Not the line of a server that listens.
    #[error("the line does not start with \"{FIRST_WORD} \"")]
    FirstWord,
    /// A name that would break the line.
    #[error("{0:?} is not a name: want a-z, 0-9, - and _")]
    Name(String),
    /// Two places of one name.
    #[error("{0} is given twice")]
    Twice(String),
    /// A place is not `name=address:port`.
    #[error("a place is not written name=address:port")]
    Address,
    /// No place, or too many.
    #[error("want 1 to {READY_PLACES_MAX} places")]
    Places,
}

fn checked(name: &str) -> Result<String, ReadyError> {
    let plain = |byte: u8| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_')
    };
    if name.is_empty() || !name.bytes().all(plain) {
        return Err(ReadyError::Name(name.chars().take(40).collect()));
    }
    Ok(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_reads_back() {
        let line = "listening http_front http=127.0.0.1:8080 ops=[::1]:9080";
        let ready: Ready = line.parse().expect("the line of the documentation");
        assert_eq!(ready.to_string(), line);
        assert_eq!(ready.program(), "http_front");
        assert_eq!(ready.address("http"), Some(([127, 0, 0, 1], 8080).into()));
        assert_eq!(ready.address("frames"), None);
        assert_eq!(format!("{line}\n").parse(), Ok(ready));
    }

    #[test]
    fn other_lines_are_refused() {
        fn check(line: &str, expected: ReadyError) {
            assert_eq!(line.parse::<Ready>(), Err(expected), "{line:?}");
        }
        check("", ReadyError::FirstWord);
        check("Listening x a=1.2.3.4:5", ReadyError::FirstWord);
        check("listening", ReadyError::Places);
        check("listening x", ReadyError::Places);
        check("listening  a=1.2.3.4:5", ReadyError::Name(String::new()));
        check("listening X a=1.2.3.4:5", ReadyError::Name("X".to_owned()));
        check("listening x a=1.2.3.4", ReadyError::Address);
        check("listening x a=1.2.3.4:5 ", ReadyError::Address);
        check("listening x a=1.2.3.4:5\r", ReadyError::Address);
        check("listening x =1.2.3.4:5", ReadyError::Name(String::new()));
        check("listening x a=1.2.3.4:5 a=1.2.3.4:6", ReadyError::Twice("a".to_owned()));
        let many: String = (0..=READY_PLACES_MAX).map(|i| format!(" p{i}=1.2.3.4:5")).collect();
        check(&format!("listening x{many}"), ReadyError::Places);
    }
}
