//! The fields that decide how a message is framed and what becomes of its connection.

use httparse::Header;

use crate::grammar::{elements, is_token, trim_blanks};
use crate::head::HeadError;
use crate::head::body_length::BodyLength;
use crate::head::host::is_host_and_port;
use crate::head::version::Version;

/// Whether a field has this name, without regard to case. Most clients spell it as we do, and that is
/// quicker to see; that it is another name, its first letter tells nearly always.
#[inline(always)]
pub(super) fn is_called(field: &Header<'_>, name: &str) -> bool {
    let letter = |name: &str| name.as_bytes().first().map(|first| first | CASE);
    field.name.len() == name.len()
        && letter(field.name) == letter(name)
        && (field.name == name || field.name.eq_ignore_ascii_case(name))
}

/// The bit in which the cases of a letter differ.
const CASE: u8 = b'a' ^ b'A';

/// Which lengths the names of a head have: what is not there is seldom looked for among what is.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct NameLengths(u64);

impl NameLengths {
    fn note(&mut self, name: &str) {
        self.0 |= Self::bit(name);
    }

    /// Whether there may be a field of this name.
    #[inline]
    pub(super) fn may_have(self, name: &str) -> bool {
        self.0 & Self::bit(name) != 0
    }

    /// The highest stands for all that are longer.
    #[inline]
    fn bit(name: &str) -> u64 {
        1 << name.len().min(63)
    }
}

/// What one pass over all fields finds out.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Seen<'a> {
    hosts: usize,
    host: &'a [u8],
    content_lengths: usize,
    content_length: &'a [u8],
    coding: Coding,
    close: bool,
    keep_alive: bool,
    expects_continue: bool,
    expects_other: bool,
    if_match: bool,
    if_none_match: bool,
    name_lengths: NameLengths,
}

/// `Transfer-Encoding`, all its lines together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Coding {
    #[default]
    None,
    Chunked,
    /// A coding that is not known was named, and chunked, if at all, after it.
    Unknown,
    /// No list of codings, or something after chunked, which has to be the last.
    Malformed,
}

impl<'a> Seen<'a> {
    pub(super) fn collect(fields: &[Header<'a>]) -> Self {
        let mut seen = Self::default();
        for field in fields {
            seen.note(field);
        }
        seen
    }

    /// The length of the name decides most fields without comparing it.
    fn note(&mut self, field: &Header<'a>) {
        self.name_lengths.note(field.name);
        let is = |name: &str| is_called(field, name);
        match field.name.len() {
            4 if is("Host") => {
                self.hosts += 1;
                self.host = field.value;
            }
            6 if is("Expect") => self.note_expect(field.value),
            8 if is("If-Match") => self.if_match = true,
            10 if is("Connection") => self.note_connection(field.value),
            13 if is("If-None-Match") => self.if_none_match = true,
            14 if is("Content-Length") => {
                self.content_lengths += 1;
                self.content_length = field.value;
            }
            17 if is("Transfer-Encoding") => {
                self.coding = field.value.split(|&b| b == b',').fold(self.coding, Coding::and);
            }
            _ => {}
        }
    }

    fn note_connection(&mut self, value: &[u8]) {
        for option in elements(value) {
            self.close |= option.eq_ignore_ascii_case(b"close");
            self.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
        }
    }

    fn note_expect(&mut self, value: &[u8]) {
        for expectation in elements(value) {
            let is_continue = expectation.eq_ignore_ascii_case(b"100-continue");
            self.expects_continue |= is_continue;
            self.expects_other |= !is_continue;
        }
    }

    /// The one host that a checked head has; 1.0 may have none.
    pub(super) fn host(&self) -> Option<&'a [u8]> {
        (self.hosts > 0).then_some(self.host)
    }

    /// A 1.1 request has exactly one valid `Host` (RFC 9112 section 3.2); 1.0 did not know it.
    pub(super) fn check_host(&self, version: Version) -> Result<(), HeadError> {
        match (self.hosts, version) {
            (0, Version::Http10) => Ok(()),
            (0, Version::Http11) => Err(HeadError::HostMissing),
            (1, _) if is_host_and_port(self.host) => Ok(()),
            (1, _) => Err(HeadError::HostInvalid),
            _ => Err(HeadError::HostRepeated),
        }
    }

    /// Where the message ends (RFC 9112 section 6.3). Whatever another parser on the way could
    /// read differently is refused, because that is how requests are smuggled (section 11.2).
    /// Inlined, since what it returns would be read back from memory right after it was written in parts.
    #[inline(always)]
    pub(super) fn body_length(&self, version: Version) -> Result<BodyLength, HeadError> {
        let has_length = self.content_lengths > 0;
        match self.coding {
            Coding::None if has_length => {
                self.exact_length().map(BodyLength::Exact).ok_or(HeadError::ContentLength)
            }
            Coding::None => Ok(BodyLength::Exact(0)),
            _ if has_length => Err(HeadError::LengthAndCoding),
            Coding::Malformed => Err(HeadError::TransferEncoding),
            _ if version == Version::Http10 => Err(HeadError::CodingInHttp10),
            Coding::Unknown => Err(HeadError::UnknownCoding),
            Coding::Chunked => Ok(BodyLength::Chunked),
        }
    }

    /// One field, digits only. A list of equal numbers may be accepted by RFC 9110 section 8.6;
    /// nobody honest sends one.
    fn exact_length(&self) -> Option<u64> {
        if self.content_lengths > 1 || self.content_length.is_empty() {
            return None;
        }
        self.content_length.iter().try_fold(0_u64, |length, &byte| {
            let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
            length.checked_mul(10)?.checked_add(digit)
        })
    }

    /// Whether the client waits for `100 Continue`; an HTTP/1.0 client never does (RFC 9110
    /// section 10.1.1).
    pub(super) fn expects_continue(&self, version: Version) -> Result<bool, HeadError> {
        if version == Version::Http10 {
            return Ok(false);
        }
        if self.expects_other { Err(HeadError::Expectation) } else { Ok(self.expects_continue) }
    }

    /// Whether there is `If-Match`.
    pub(super) fn requires_match(&self) -> bool {
        self.if_match
    }

    /// Whether there is `If-Match` or `If-None-Match`.
    pub(super) fn is_conditional(&self) -> bool {
        self.if_match | self.if_none_match
    }

    pub(super) fn name_lengths(&self) -> NameLengths {
        self.name_lengths
    }

    /// Whether the client wants the connection to go on (RFC 9112 section 9.3).
    pub(super) fn persists(&self, version: Version) -> bool {
        !self.close && (version == Version::Http11 || self.keep_alive)
    }
}

impl Coding {
    /// Takes one more element of the list.
    fn and(self, element: &[u8]) -> Self {
        let element = trim_blanks(element);
        let name = element.split(|&byte| byte == b';').next().map_or(element, trim_blanks);
        match self {
            Self::Malformed => Self::Malformed,
            _ if !is_token(name) => Self::Malformed,
            // Nothing may follow chunked, not even chunked.
            Self::Chunked => Self::Malformed,
            Self::None if element.eq_ignore_ascii_case(b"chunked") => Self::Chunked,
            Self::None | Self::Unknown => Self::Unknown,
        }
    }
}
