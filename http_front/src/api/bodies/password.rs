//! A secret out of JSON, without a copy that is not wiped.
//!
//! `serde_json` puts a string with escapes together in a buffer of its own, which it frees without
//! wiping it. So the text is taken as it stands in the body, and its escapes (RFC 8259 section 7)
//! are resolved here.

use serde::de::{Deserialize, Deserializer, Error};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

/// A password or another secret as JSON text. It is wiped when dropped, and a value of another type is refused in
/// words that do not repeat it, as those of the parser would.
pub(super) struct PasswordText(pub(super) Zeroizing<String>);

impl<'de> Deserialize<'de> for PasswordText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&RawValue>::deserialize(deserializer)?.get();
        let escaped = raw.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        let escaped = escaped.ok_or_else(|| D::Error::custom("this value must be a string"))?;
        unescape(escaped)
            .map(Self)
            .ok_or_else(|| D::Error::custom("this string has half of a surrogate pair"))
    }
}

/// Resolves the escapes of a string that the parser has found to be well formed. `None` when a
/// surrogate stands alone, which is no character.
fn unescape(escaped: &str) -> Option<Zeroizing<String>> {
    // No escape is shorter than its character, so this never grows and leaves no copy behind.
    let mut text = Zeroizing::new(String::with_capacity(escaped.len()));
    let mut rest = escaped;
    while let Some(at) = rest.find('\\') {
        text.push_str(&rest[..at]);
        let (character, length) = resolve(&rest[at..])?;
        text.push(character);
        rest = &rest[at + length..];
    }
    text.push_str(rest);
    Some(text)
}

/// The character of the escape that `text` starts with, and the length of the escape.
fn resolve(text: &str) -> Option<(char, usize)> {
    let simple = match text.as_bytes().get(1)? {
        b'u' => return resolve_unicode(text),
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        &itself => char::from(itself),
    };
    Some((simple, 2))
}

/// `\uXXXX`, or two of them for a character beyond the basic plane.
fn resolve_unicode(text: &str) -> Option<(char, usize)> {
    let unit = |at: usize| u16::from_str_radix(text.get(at + 2..at + 6)?, 16).ok();
    let first = unit(0)?;
    if let Some(character) = char::from_u32(first.into()) {
        return Some((character, 6));
    }
    let second = unit(6).filter(|_| text[6..].starts_with("\\u"))?;
    let character = char::decode_utf16([first, second]).next()?.ok()?;
    Some((character, 12))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whatever `serde_json` makes of a text, this makes of it too.
    fn check(json: &str) {
        let expected = serde_json::from_str::<String>(json).ok();
        let text = serde_json::from_str::<PasswordText>(json).ok();
        assert_eq!(text.map(|text| text.0.to_string()), expected, "{json}");
    }

    #[test]
    fn escapes_are_those_of_json() {
        for escaped in [
            "",
            "correct horse",
            "p\u{e4}ssw\u{f6}rt \u{1f600}",
            r#"\"\\\/\b\f\n\r\t"#,
            r"\u0000\u00e4\u00E4\ud83d\ude00x\uffff",
            r"x\ud83d",
            r"\ud83dx",
            r"\ud83dxxxxxxx",
            r"\ud83d\u0061",
            r"\ud83d\n\ude00",
            r"\ude00\ud83d",
            r"\u00zz",
            r"\u00",
            r"\u+123",
            r"\x",
            r"\",
            "\u{1}",
            "\t",
            "\\\u{e4}",
            "\\u00\u{e4}",
        ] {
            check(&format!("\"{escaped}\""));
        }
        for other in ["null", "1", "[\"x\"]", "{}", "\"x", "x\"", ""] {
            check(other);
        }
    }
}
