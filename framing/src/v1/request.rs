//! REG and AUTH.
//!
//! ```text
//! u8 command_len, command, u16 username_len, username, u16 password_len, password,
//! u16 name_len, name, u8 age
//! ```

use std::fmt;

use super::cursor::{Stop, append_prefixed, split};
use crate::{
    DecodeError, EncodeError, FrameError, Secret,
    limits::{NAME_BYTES_MAX, PASSWORD_BYTES_MAX, USERNAME_BYTES_MAX},
};

/// A request with its texts checked.
#[derive(Debug, Clone, Copy)]
pub enum Request<'a> {
    /// `REG`: makes an account.
    Register {
        /// As the user typed it, not yet a valid username.
        username: &'a str,
        /// As the user typed it, not yet a valid password.
        password: Secret<'a>,
        /// A display name; empty on the wire when there is none.
        name: Option<&'a str>,
        /// In years; 0 on the wire when it is not given.
        age: Option<u8>,
    },
    /// `AUTH`: trades a username and a password for a token.
    Authenticate {
        /// As the user typed it, not yet a valid username.
        username: &'a str,
        /// As the user typed it.
        password: Secret<'a>,
    },
}

/// A request cut off the stream, its texts not checked yet.
///
/// `Debug` prints lengths only: the bytes hold a password.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct RawRequest<'a> {
    command: Command,
    username: &'a [u8],
    password: &'a [u8],
    name: &'a [u8],
    age: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Command {
    Register,
    Authenticate,
}

impl Command {
    const fn as_bytes(self) -> &'static [u8] {
        match self {
            Self::Register => b"REG",
            Self::Authenticate => b"AUTH",
        }
    }
}

/// Cuts the first request off `input`: the request and how many bytes it took, or `None` when more
/// bytes are needed. What was consumed is never more than `input.len()`.
///
/// # Errors
///
/// [`FrameError`] for an unknown command or a length over its limit, as soon as the byte that shows
/// it is there. The stream is lost then.
///
/// # Examples
///
/// ```
/// use framing::v1::{Request, split_request};
///
/// let wire = b"\x04AUTH\0\x03bob\0\x06sesame\0\0\0";
/// assert_eq!(split_request(&wire[..9])?, None);
/// let (raw, consumed) = split_request(wire)?.ok_or("incomplete")?;
/// assert_eq!(consumed, wire.len());
/// assert!(matches!(raw.decode()?, Request::Authenticate { username: "bob", .. }));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn split_request(input: &[u8]) -> Result<Option<(RawRequest<'_>, usize)>, FrameError> {
    split(input, |cursor| {
        let command = match cursor.u8()? {
            3 => Command::Register,
            4 => Command::Authenticate,
            _ => return Err(Stop::Bad(FrameError::V1Command)),
        };
        cursor.literal(command.as_bytes(), FrameError::V1Command)?;
        Ok(RawRequest {
            command,
            username: cursor.prefixed("username", USERNAME_BYTES_MAX)?,
            password: cursor.prefixed("password", PASSWORD_BYTES_MAX)?,
            name: cursor.prefixed("name", NAME_BYTES_MAX)?,
            age: cursor.u8()?,
        })
    })
}

impl<'a> RawRequest<'a> {
    /// Checks the texts. The name and age of an `AUTH` mean nothing and are not looked at.
    ///
    /// # Errors
    ///
    /// [`DecodeError::V1NotUtf8`]: the peer is at fault; answer with 400, the connection goes on.
    pub fn decode(&self) -> Result<Request<'a>, DecodeError> {
        let username = text("username", self.username)?;
        let password = Secret::new(text("password", self.password)?);
        match self.command {
            Command::Authenticate => Ok(Request::Authenticate { username, password }),
            Command::Register => {
                let name = Some(text("name", self.name)?).filter(|name| !name.is_empty());
                let age = Some(self.age).filter(|age| *age != 0);
                Ok(Request::Register { username, password, name, age })
            }
        }
    }
}

fn text<'a>(field: &'static str, bytes: &'a [u8]) -> Result<&'a str, DecodeError> {
    str::from_utf8(bytes).map_err(|_| DecodeError::V1NotUtf8(field))
}

impl fmt::Debug for RawRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawRequest")
            .field("command", &self.command)
            .field("username_bytes", &self.username.len())
            .field("password_bytes", &self.password.len())
            .field("name_bytes", &self.name.len())
            .finish_non_exhaustive()
    }
}

/// Appends a request. What `out` grows out of is wiped.
///
/// # Errors
///
/// [`EncodeError::FieldTooLong`]; `out` is as it was.
pub fn encode_request(out: &mut Vec<u8>, request: &Request<'_>) -> Result<(), EncodeError> {
    let (command, username, password, name, age) = match *request {
        Request::Register { username, password, name, age } => {
            (Command::Register, username, password, name.unwrap_or_default(), age.unwrap_or(0))
        }
        Request::Authenticate { username, password } => {
            (Command::Authenticate, username, password, "", 0)
        }
    };
    let command_len: u8 = match command {
        Command::Register => 3,
        Command::Authenticate => 4,
    };
    wipe::append_or_restore(out, |out| {
        wipe::append(out, &[command_len]);
        wipe::append(out, command.as_bytes());
        append_prefixed(out, "username", username, USERNAME_BYTES_MAX)?;
        append_prefixed(out, "password", password.expose(), PASSWORD_BYTES_MAX)?;
        append_prefixed(out, "name", name, NAME_BYTES_MAX)?;
        wipe::append(out, &[age]);
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(input: &[u8], expected: Result<Option<usize>, FrameError>) {
        assert_eq!(split_request(input).map(|split| split.map(|(_, consumed)| consumed)), expected);
    }

    #[test]
    fn errors_show_at_the_byte_that_makes_them() {
        check(b"", Ok(None));
        check(b"\x03", Ok(None));
        check(b"\x02", Err(FrameError::V1Command));
        check(b"\x05", Err(FrameError::V1Command));
        check(b"\x03R", Ok(None));
        check(b"\x03A", Err(FrameError::V1Command));
        check(b"\x04REG", Err(FrameError::V1Command));
        check(b"\x03REX", Err(FrameError::V1Command));
        check(b"\x03reg", Err(FrameError::V1Command));
        check(b"\x03REG", Ok(None));
    }

    #[test]
    fn a_long_field_is_refused_before_it_arrives() {
        let too_long = |field, bytes| {
            Err(FrameError::V1FieldTooLong { field, bytes, bytes_max: USERNAME_BYTES_MAX })
        };
        check(b"\x03REG\x04", Ok(None));
        check(b"\x03REG\x04\x00", Ok(None));
        check(b"\x03REG\x04\x01", too_long("username", 1025));
        check(b"\x03REG\x05", too_long("username", 0x500));
        check(b"\x03REG\x00\x00\xff", too_long("password", 0xff00));
        check(b"\x03REG\x00\x00\x00\x00\xff", too_long("name", 0xff00));
        check(b"\x03REG\x00\x00\x00\x00\x00\x00", Ok(None));
        check(b"\x03REG\x00\x00\x00\x00\x00\x00\x00\x03", Ok(Some(11)));
    }

    #[test]
    fn a_text_that_is_not_utf8_costs_only_its_request() {
        let wire = b"\x04AUTH\0\x02\xc3\x28\0\x00\0\x00\0\x03REG";
        let (raw, consumed) = split_request(wire).expect("well framed").expect("complete");
        assert_eq!(raw.decode().map(|_| ()), Err(DecodeError::V1NotUtf8("username")));
        check(&wire[consumed..], Ok(None));
    }

    #[test]
    fn debug_hides_the_password() {
        let wire = b"\x03REG\0\x03bob\0\x06sesame\0\x00\0";
        let (raw, _) = split_request(wire).expect("well framed").expect("complete");
        let request = raw.decode().expect("ASCII");
        assert_eq!(
            format!("{request:?}"),
            "Register { username: \"bob\", password: ***, name: None, age: None }"
        );
        assert!(!format!("{raw:?}").contains("sesame"));
    }

    #[test]
    fn a_text_over_its_limit_is_not_encoded() {
        let long = "p".repeat(PASSWORD_BYTES_MAX + 1);
        let mut out = b"before".to_vec();
        let request = Request::Authenticate { username: "bob", password: Secret::new(&long) };
        let (bytes, bytes_max) = (long.len(), PASSWORD_BYTES_MAX);
        assert_eq!(
            encode_request(&mut out, &request),
            Err(EncodeError::FieldTooLong { field: "password", bytes, bytes_max })
        );
        assert_eq!(out, b"before");
    }
}
