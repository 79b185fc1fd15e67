//! How sessions are written in Redis: the names of keys, and the text of a session.
//!
//! | key | holds | lives |
//! |---|---|---|
//! | `gh2:G:s:DIGEST` | a session | until it expires |
//! | `gh2:G:u:USER` | the user's epoch | as long as the longest of their sessions, and at least [`TOMBSTONE`] after it was raised |
//! | `gh2:G:i:USER` | digests of the user's sessions here, sorted by when they expire | as long as the longest of them |
//! | `gh2:G:t:DIGEST` | nothing: the session was ended | [`TOMBSTONE`] |
//!
//! G is the [generation](super::generation), decimal. All other numbers and the digests are hexadecimal,
//! in lower case and of full length: 8 digits for an epoch, 16 for ids and times.
//!
//! A session is one text, so that one command reads many of them, with fields in fixed places, so that
//! scripts need not search for them: user, epoch, session id, created, seen, expires, ends, username.
//!
//! [`TOMBSTONE`]: super::limits::TOMBSTONE

use std::fmt;

use redis::{RedisWrite, ToRedisArgs};
use store::SessionRow;

/// This layout. What is kept in another is never read (`generation`).
pub(super) const LAYOUT: &str = "gh2";

/// The names of keys of one generation.
pub(super) struct Keys {
    prefix: String,
}

/// The name of a key.
pub(super) struct Key<'a, const DIGITS: usize> {
    prefix: &'a str,
    kind: &'static str,
    of: Hex<DIGITS>,
}

/// Hexadecimal digits.
pub(super) struct Hex<const DIGITS: usize>([u8; DIGITS]);

impl Keys {
    pub(super) fn of(generation: u64) -> Self {
        Self { prefix: format!("{LAYOUT}:{generation}:") }
    }

    /// What all of them begin with.
    pub(super) fn prefix(&self) -> &str {
        &self.prefix
    }

    pub(super) fn session(&self, digest: &[u8; 32]) -> Key<'_, 64> {
        self.key("s:", Hex::of_digest(digest))
    }

    pub(super) fn tombstone(&self, digest: &[u8; 32]) -> Key<'_, 64> {
        self.key("t:", Hex::of_digest(digest))
    }

    pub(super) fn user(&self, user_id: u64) -> Key<'_, 16> {
        self.key("u:", Hex::of_number(user_id))
    }

    pub(super) fn index(&self, user_id: u64) -> Key<'_, 16> {
        self.key("i:", Hex::of_number(user_id))
    }

    fn key<const DIGITS: usize>(&self, kind: &'static str, of: Hex<DIGITS>) -> Key<'_, DIGITS> {
        Key { prefix: &self.prefix, kind, of }
    }
}

impl<const DIGITS: usize> Hex<DIGITS> {
    fn of(bytes: &[u8]) -> Self {
        const { assert!(DIGITS.is_multiple_of(2)) };
        const VALUES: &[u8; 16] = b"0123456789abcdef";
        let mut digits = [b'0'; DIGITS];
        for (pair, byte) in digits.chunks_exact_mut(2).zip(bytes) {
            pair[0] = VALUES[usize::from(byte >> 4)];
            pair[1] = VALUES[usize::from(byte & 15)];
        }
        Self(digits)
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    fn as_str(&self) -> &str {
        // Digits are ASCII, so the empty text never comes.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl Hex<64> {
    pub(super) fn of_digest(digest: &[u8; 32]) -> Self {
        Self::of(digest)
    }
}

impl Hex<16> {
    pub(super) fn of_number(number: u64) -> Self {
        Self::of(&number.to_be_bytes())
    }
}

impl Hex<8> {
    pub(super) fn of_epoch(epoch: u32) -> Self {
        Self::of(&epoch.to_be_bytes())
    }
}

impl<const DIGITS: usize> fmt::Display for Key<'_, DIGITS> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.prefix)?;
        f.write_str(self.kind)?;
        f.write_str(self.of.as_str())
    }
}

impl<const DIGITS: usize> ToRedisArgs for Key<'_, DIGITS> {
    fn write_redis_args<W: ?Sized + RedisWrite>(&self, out: &mut W) {
        out.write_arg_fmt(self);
    }
}

impl<const DIGITS: usize> ToRedisArgs for Hex<DIGITS> {
    fn write_redis_args<W: ?Sized + RedisWrite>(&self, out: &mut W) {
        out.write_arg(&self.0);
    }
}

/// A session's text.
pub(super) fn text_of(row: &SessionRow) -> String {
    let mut text = String::with_capacity(HEAD_DIGITS + row.username.len());
    text.push_str(Hex::of_number(row.user_id).as_str());
    text.push_str(Hex::of_epoch(row.epoch).as_str());
    let numbers =
        [row.session_id, row.created_at_ms, row.last_seen_at_ms, row.expires_at_ms, row.ends_at_ms];
    for number in numbers {
        text.push_str(Hex::of_number(number).as_str());
    }
    text.push_str(&row.username);
    text
}

/// Digits before the username.
const HEAD_DIGITS: usize = 16 + 8 + 5 * 16;

/// The session of a text; `None` for what [`text_of`] does not write.
pub(super) fn session_of(mut text: Vec<u8>) -> Option<SessionRow> {
    let mut head = text.get(..HEAD_DIGITS)?;
    let mut number = |digits: usize| {
        let (field, rest) = head.split_at_checked(digits)?;
        head = rest;
        field.iter().try_fold(0, |number, digit| Some((number << 4) | value(*digit)?))
    };
    let (user_id, epoch) = (number(16)?, u32::try_from(number(8)?).ok()?);
    let (session_id, created_at_ms) = (number(16)?, number(16)?);
    let (last_seen_at_ms, expires_at_ms, ends_at_ms) = (number(16)?, number(16)?, number(16)?);
    // What is left is the username, where it is.
    text.drain(..HEAD_DIGITS);
    let username = String::from_utf8(text).ok()?;
    Some(SessionRow {
        session_id,
        user_id,
        username,
        epoch,
        created_at_ms,
        last_seen_at_ms,
        expires_at_ms,
        ends_at_ms,
    })
}

fn value(digit: u8) -> Option<u64> {
    match digit {
        b'0'..=b'9' => Some(u64::from(digit - b'0')),
        b'a'..=b'f' => Some(u64::from(digit - b'a') + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> SessionRow {
        SessionRow {
            session_id: 0x1234_5678_9abc_def0,
            user_id: u64::MAX,
            username: "adä".to_owned(),
            epoch: 7,
            created_at_ms: 1,
            last_seen_at_ms: 2,
            expires_at_ms: 3,
            ends_at_ms: 1 << 41,
        }
    }

    #[test]
    fn a_session_is_one_text_with_fixed_places() {
        let text = text_of(&row());
        let expected = "ffffffffffffffff\
                        00000007\
                        123456789abcdef0\
                        0000000000000001\
                        0000000000000002\
                        0000000000000003\
                        0000020000000000\
                        adä";
        assert_eq!(text, expected);
        assert_eq!(session_of(text.into_bytes()), Some(row()));
        let nameless = SessionRow { username: String::new(), ..row() };
        assert_eq!(session_of(text_of(&nameless).into_bytes()), Some(nameless));
    }

    #[test]
    fn what_nobody_wrote_is_no_session() {
        let text = text_of(&row()).into_bytes();
        for cut in 0..HEAD_DIGITS {
            assert_eq!(session_of(text[..cut].to_vec()), None, "{cut} bytes");
            for byte in [b'+', b'A', b'g', b' ', 0, 0xff] {
                let mut text = text.clone();
                text[cut] = byte;
                assert_eq!(session_of(text), None, "{byte} at {cut}");
            }
        }
        let mut text = text;
        text.push(0xff);
        assert_eq!(session_of(text), None, "the name is no UTF-8");
    }

    #[test]
    fn names_of_keys() {
        let keys = Keys::of(12);
        let mut digest = [0; 32];
        (digest[0], digest[31]) = (0xab, 0x0f);
        let zeros = "0".repeat(60);
        assert_eq!(keys.session(&digest).to_string(), format!("gh2:12:s:ab{zeros}0f"));
        assert_eq!(keys.tombstone(&digest).to_string(), format!("gh2:12:t:ab{zeros}0f"));
        assert_eq!(keys.user(0x1f).to_string(), "gh2:12:u:000000000000001f");
        assert_eq!(keys.index(0x1f).to_string(), "gh2:12:i:000000000000001f");
        assert_eq!(
            keys.session(&digest).to_redis_args(),
            [keys.session(&digest).to_string().as_bytes()]
        );
    }
}
