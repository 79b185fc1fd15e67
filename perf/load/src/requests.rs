//! The requests that are sent, taken from a file that holds them as they go over the wire.

use std::ops::Range;
use std::path::Path;

use crate::v1;

/// Fields that a request may have.
const FIELDS_MAX: usize = 64;

#[derive(Debug)]
pub(crate) struct Requests {
    bytes: Vec<u8>,
    each: Vec<Range<usize>>,
}

impl Requests {
    /// # Errors
    /// A file that cannot be read, and what [`Self::parse`] refuses.
    pub(crate) fn read(file: &Path) -> Result<Self, String> {
        let bytes = std::fs::read(file).map_err(|error| format!("{}: {error}", file.display()))?;
        Self::parse(bytes).map_err(|error| format!("{}: {error}", file.display()))
    }

    /// Finds where requests end, by their heads and Content-Length, or by the lengths of their texts.
    ///
    /// # Errors
    /// No request, one that is cut off, or what is neither HTTP/1.1 nor v1.
    pub(crate) fn parse(bytes: Vec<u8>) -> Result<Self, String> {
        let mut each = Vec::new();
        let mut at = 0;
        while at < bytes.len() {
            if v1::COMMAND_LENGTHS.contains(&bytes[at]) {
                let length = v1::request_length(&bytes[at..]);
                let end =
                    at + length.ok_or_else(|| format!("the request at byte {at} is cut off"))?;
                each.push(at..end);
                at = end;
                continue;
            }
            let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
            let mut request = httparse::Request::new(&mut fields);
            let head = match request.parse(&bytes[at..]) {
                Ok(httparse::Status::Complete(length)) => length,
                Ok(httparse::Status::Partial) => {
                    return Err(format!("the request at byte {at} is cut off"));
                }
                Err(error) => return Err(format!("the request at byte {at}: {error}")),
            };
            let body = content_length(request.headers)
                .map_err(|()| format!("the request at byte {at} has a bad Content-Length"))?
                .unwrap_or(0);
            let end = (at + head).checked_add(body).filter(|end| *end <= bytes.len());
            let end = end.ok_or_else(|| format!("the request at byte {at} is cut off"))?;
            each.push(at..end);
            at = end;
        }
        if each.is_empty() {
            return Err("there is no request".to_owned());
        }
        Ok(Self { bytes, each })
    }

    /// The bytes of the request of this number; they come in turn.
    pub(crate) fn get(&self, number: u64) -> &[u8] {
        let range = &self.each[(number % self.each.len() as u64) as usize];
        &self.bytes[range.clone()]
    }
}

/// The length that a message's fields give its body; None when they give none.
pub(crate) fn content_length(fields: &[httparse::Header<'_>]) -> Result<Option<usize>, ()> {
    let Some(field) = fields.iter().find(|field| field.name.eq_ignore_ascii_case("content-length"))
    else {
        return Ok(None);
    };
    let text = std::str::from_utf8(field.value).map_err(|_| ())?;
    text.trim().parse().map(Some).map_err(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(file: &[u8], expected: Result<&[&[u8]], &str>) {
        let parsed = Requests::parse(file.to_vec());
        match (parsed, expected) {
            (Ok(requests), Ok(expected)) => {
                assert_eq!(requests.each.len(), expected.len());
                // Once around, and the first again.
                for number in 0..=expected.len() {
                    assert_eq!(requests.get(number as u64), expected[number % expected.len()]);
                }
            }
            (Err(error), Err(part)) => assert!(error.contains(part), "{error}"),
            (parsed, _) => panic!("{parsed:?}"),
        }
    }

    #[test]
    fn requests_end_where_their_bodies_end() {
        check(b"GET / HTTP/1.1\r\n\r\n", Ok(&[b"GET / HTTP/1.1\r\n\r\n"]));
        check(
            b"POST /a HTTP/1.1\r\ncontent-length: 3\r\n\r\nabcGET /b HTTP/1.1\r\nHost: x\r\n\r\n",
            Ok(&[
                b"POST /a HTTP/1.1\r\ncontent-length: 3\r\n\r\nabc",
                b"GET /b HTTP/1.1\r\nHost: x\r\n\r\n",
            ]),
        );
    }

    #[test]
    fn what_is_no_row_of_requests_is_refused() {
        check(b"", Err("no request"));
        check(b"GET / HTTP/1.1\r\n", Err("cut off"));
        check(b"POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nab", Err("cut off"));
        check(b"POST / HTTP/1.1\r\nContent-Length: many\r\n\r\nab", Err("Content-Length"));
        check(b"POST / HTTP/1.1\r\nContent-Length: 18446744073709551615\r\n\r\nab", Err("cut off"));
        check(b"GET / HTTP/1.1\r\n\r\n\0\0", Err("at byte 18"));
    }
}
