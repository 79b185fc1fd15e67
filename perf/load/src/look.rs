//! Where an answer ends, and what it said.

use crate::answer::Answer;
use crate::requests::content_length;
use crate::v1;

/// Fields that an answer may have.
const FIELDS_MAX: usize = 64;

/// Looks at the bytes of a connection since the last answer's end.
pub(crate) fn look(bytes: &[u8]) -> Answer {
    if let Some(answer) = v1::answer(bytes) {
        return answer;
    }
    let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
    let mut response = httparse::Response::new(&mut fields);
    let head = match response.parse(bytes) {
        Ok(httparse::Status::Complete(head)) => head,
        Ok(httparse::Status::Partial) => return Answer::Partial,
        Err(_) => return Answer::Unreadable,
    };
    let Some(status) = response.code else { return Answer::Unreadable };
    let bodiless = status == 204 || status == 304;
    let body = match content_length(response.headers) {
        Ok(Some(length)) if !bodiless => length,
        Ok(_) if bodiless => 0,
        _ => return Answer::Unreadable,
    };
    let Some(length) = head.checked_add(body) else { return Answer::Unreadable };
    if bytes.len() < length {
        return Answer::Partial;
    }
    let keeps = !response.headers.iter().any(|field| {
        field.name.eq_ignore_ascii_case("connection") && field.value.eq_ignore_ascii_case(b"close")
    });
    Answer::Whole { status, length, keeps }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bytes: &[u8], expected: Answer) {
        assert_eq!(look(bytes), expected, "{}", String::from_utf8_lossy(bytes));
        if let Answer::Whole { length, .. } = expected {
            for end in 0..length {
                assert_eq!(look(&bytes[..end]), Answer::Partial, "cut at {end}");
            }
        }
    }

    #[test]
    fn answers_end_where_their_bodies_end() {
        check(
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}HTTP/1.1",
            Answer::Whole { status: 200, length: 40, keeps: true },
        );
        check(
            b"HTTP/1.1 503 x\r\nconnection: Close\r\ncontent-length: 0\r\n\r\n",
            Answer::Whole { status: 503, length: 56, keeps: false },
        );
        check(b"HTTP/1.1 204 \r\n\r\n", Answer::Whole { status: 204, length: 17, keeps: true });
    }

    #[test]
    fn an_end_that_cannot_be_found_is_told() {
        check(b"SSH-2.0\r\n", Answer::Unreadable);
        check(b"HTTP/1.1 200 OK\r\n\r\n", Answer::Unreadable);
        check(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", Answer::Unreadable);
        check(b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", Answer::Unreadable);
    }
}
