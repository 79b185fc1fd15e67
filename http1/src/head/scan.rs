//! Finds the end of a head that arrives in pieces.

use memchr::memchr;

use crate::grammar::is_token_byte;
use crate::head::HeadError;
use crate::limits::{METHOD_BYTES_MAX, REQUEST_LINE_BYTES_MAX};

/// How far the search for the end of a head has come.
///
/// It remembers where it stopped, so a head that arrives one byte at a time costs as much as one
/// that arrives whole. What it finds depends on the bytes alone and not on how they were cut.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HeadScan {
    /// Where the current line starts. Invariant: `line_start <= scanned <= head_bytes_max`.
    line_start: usize,
    /// All before this was looked at.
    scanned: usize,
}

impl HeadScan {
    /// Looks at `input`, which starts with the request line and has grown since the last call.
    /// Returns the length of the head with its empty line, or `None` when more must arrive.
    /// `head_bytes_max` is the same in each call.
    ///
    /// # Errors
    ///
    /// The peer's faults that have to be found before the head is complete: a line that ends in a
    /// bare LF (httparse would take it), and what is longer than allowed.
    pub fn advance(
        &mut self,
        input: &[u8],
        head_bytes_max: usize,
    ) -> Result<Option<usize>, HeadError> {
        if let Some(&first) = input.first()
            && !is_token_byte(first)
        {
            // Not HTTP at all. No need to wait.
            return Err(if first == TLS_HANDSHAKE {
                HeadError::Tls
            } else {
                HeadError::RequestLine
            });
        }
        let end = input.len().min(head_bytes_max);
        while let Some(offset) = memchr(b'\n', &input[self.scanned..end]) {
            let line_feed = self.scanned + offset;
            self.check_request_line(&input[..line_feed + 1])?;
            if self.line_start == 0 && PROXY_LINES.iter().any(|begin| input.starts_with(begin)) {
                return Err(HeadError::ProxyProtocol);
            }
            if line_feed == self.line_start || input[line_feed - 1] != b'\r' {
                return Err(HeadError::BareLineFeed);
            }
            let is_empty = line_feed - 1 == self.line_start;
            self.scanned = line_feed + 1;
            self.line_start = self.scanned;
            if is_empty {
                return Ok(Some(self.scanned));
            }
        }
        self.scanned = end;
        self.check_request_line(&input[..end])?;
        if end == head_bytes_max {
            return Err(HeadError::HeadTooLong { bytes_max: head_bytes_max });
        }
        Ok(None)
    }

    /// Refuses a first line that has grown to `line`, CRLF included, and is too long.
    fn check_request_line(&self, line: &[u8]) -> Result<(), HeadError> {
        if self.line_start > 0 || line.len() <= REQUEST_LINE_BYTES_MAX + 2 {
            return Ok(());
        }
        match memchr(b' ', &line[..=METHOD_BYTES_MAX]) {
            Some(_) => Err(HeadError::RequestLineTooLong),
            None => Err(HeadError::MethodTooLong),
        }
    }
}

/// The type of the record that a TLS client begins with (RFC 8446 section 5.1).
const TLS_HANDSHAKE: u8 = 0x16;

/// How a line of version 1 of the PROXY protocol begins. A request line has no such target.
const PROXY_LINES: [&[u8]; 3] = [b"PROXY TCP4 ", b"PROXY TCP6 ", b"PROXY UNKNOWN"];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::{HEAD_BYTES_DEFAULT, HEAD_BYTES_MAX, HEAD_BYTES_MIN};

    fn scan_whole(input: &[u8]) -> Result<Option<usize>, HeadError> {
        HeadScan::default().advance(input, HEAD_BYTES_DEFAULT)
    }

    /// Offers one byte more each time, until something is found.
    fn scan_bytewise(input: &[u8]) -> Result<Option<usize>, HeadError> {
        let mut scan = HeadScan::default();
        for end in 1..=input.len() {
            let found = scan.advance(&input[..end], HEAD_BYTES_DEFAULT)?;
            assert_eq!(scan.scanned, found.unwrap_or(end), "each byte is looked at once");
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    fn check(input: &[u8], expected: Result<Option<usize>, HeadError>) {
        let shown = String::from_utf8_lossy(&input[..input.len().min(60)]);
        assert_eq!(scan_whole(input), expected, "{shown:?}");
        assert_eq!(scan_bytewise(input), expected, "{shown:?} byte by byte");
    }

    #[test]
    fn the_end_is_the_first_empty_line() {
        check(b"GET / HTTP/1.1\r\n\r\n", Ok(Some(18)));
        check(b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET", Ok(Some(27)));
        check(b"GET / HTTP/1.1\r\nHost: a\r\n\r", Ok(None));
        check(b"GET / HTTP/1.1\r\nHost: a\r\n", Ok(None));
    }

    #[test]
    fn bare_line_feeds_are_refused_wherever_they_stand() {
        for input in [
            &b"GET / HTTP/1.1\n"[..],
            b"GET / HTTP/1.1\r\n\n",
            b"GET / HTTP/1.1\r\nHost: a\n",
            b"GET / HTTP/1.1\r\nHost: a\r\n\n",
            b"GET / HTTP/1.1\r\nA: b\nContent-Length: 5\r\n\r\n",
        ] {
            check(input, Err(HeadError::BareLineFeed));
        }
    }

    #[test]
    fn what_cannot_be_a_method_is_refused_at_its_first_byte() {
        check(b"\x16\x03\x01", Err(HeadError::Tls));
        check(b" GET", Err(HeadError::RequestLine));
        check(b"\0", Err(HeadError::RequestLine));
    }

    #[test]
    fn the_request_line_may_be_as_long_as_its_limit_and_not_a_byte_longer() {
        let with_line_of = |bytes: usize| [&vec![b'a'; bytes][..], b"\r\n\r\n"].concat();
        check(&with_line_of(REQUEST_LINE_BYTES_MAX), Ok(Some(REQUEST_LINE_BYTES_MAX + 4)));
        let too_long = with_line_of(REQUEST_LINE_BYTES_MAX + 1);
        check(&too_long, Err(HeadError::MethodTooLong));
        check(&[b"GET /", &too_long[..]].concat(), Err(HeadError::RequestLineTooLong));
    }

    #[test]
    fn the_head_may_be_as_long_as_its_limit_and_not_a_byte_longer() {
        let with_head_of = |bytes: usize| {
            let frame = b"GET / HTTP/1.1\r\nA: \r\n\r\n".len();
            let filler = vec![b'b'; bytes - frame];
            [b"GET / HTTP/1.1\r\nA: ", &filler[..], b"\r\n\r\n"].concat()
        };
        let too_long = |bytes_max| Err(HeadError::HeadTooLong { bytes_max });
        check(&with_head_of(HEAD_BYTES_DEFAULT), Ok(Some(HEAD_BYTES_DEFAULT)));
        check(&with_head_of(HEAD_BYTES_DEFAULT + 1), too_long(HEAD_BYTES_DEFAULT));
        for bytes_max in [HEAD_BYTES_MIN, HEAD_BYTES_MAX] {
            let scan = |bytes| HeadScan::default().advance(&with_head_of(bytes), bytes_max);
            assert_eq!(scan(bytes_max), Ok(Some(bytes_max)));
            assert_eq!(scan(bytes_max + 1), too_long(bytes_max));
        }
    }
}
