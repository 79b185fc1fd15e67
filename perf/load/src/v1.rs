//! Version 1 of the protocol that auth_back speaks (framing/PROTOCOL.md): its messages are told from those of HTTP by
//! their first byte.

use crate::answer::Answer;

/// The first byte of a request is the length of its command.
pub(crate) const COMMAND_LENGTHS: [u8; 2] = [b"REG".len() as u8, b"AUTH".len() as u8];

/// The first byte of an answer is the higher one of a status below 600.
const STATUS_HIGH_MAX: u8 = 2;

/// How long the request is that `bytes` begin with: the command, three texts with their lengths, and the age. `None`
/// when it is cut off.
pub(crate) fn request_length(bytes: &[u8]) -> Option<usize> {
    let command_end = 1 + usize::from(*bytes.first()?);
    let texts_end = (0..3).try_fold(command_end, |at, _| Some(at + 2 + number(bytes, at)?))?;
    let end = texts_end + 1;
    (end <= bytes.len()).then_some(end)
}

/// The answer that `bytes` begin with, if it is one of v1: a status, and a text with its length.
pub(crate) fn answer(bytes: &[u8]) -> Option<Answer> {
    if *bytes.first()? > STATUS_HIGH_MAX {
        return None;
    }
    let (Some(status), Some(text)) = (number(bytes, 0), number(bytes, 2)) else {
        return Some(Answer::Partial);
    };
    let length = 4 + text;
    if bytes.len() < length {
        return Some(Answer::Partial);
    }
    let status = u16::try_from(status).ok()?;
    Some(Answer::Whole { status, length, keeps: true })
}

fn number(bytes: &[u8], at: usize) -> Option<usize> {
    let high_and_low = bytes.get(at..at + 2)?;
    Some(usize::from(high_and_low[0]) << 8 | usize::from(high_and_low[1]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_end_behind_their_age() {
        let login = b"\x04AUTH\x00\x03ada\x00\x02pw\x00\x00\x00";
        assert_eq!(request_length(&[&login[..], b"\x04AUTH"].concat()), Some(login.len()));
        for end in 0..login.len() {
            assert_eq!(request_length(&login[..end]), None, "cut at {end}");
        }
    }

    #[test]
    fn answers_end_behind_their_text() {
        let answer = b"\x01\xf7\x00\x04busy";
        let whole = Answer::Whole { status: 503, length: 8, keeps: true };
        assert_eq!(super::answer(answer), Some(whole));
        for end in 1..answer.len() {
            assert_eq!(super::answer(&answer[..end]), Some(Answer::Partial), "cut at {end}");
        }
        assert_eq!(super::answer(b"HTTP/1.1"), None);
        assert_eq!(super::answer(b""), None);
    }
}
