//! Character classes of RFC 9110 section 5.6 that several parts need.

/// `tchar`: what tokens such as field names and methods are made of.
pub(crate) const fn is_token_byte(byte: u8) -> bool {
    matches!(byte,
        b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z'
        | b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_'
        | b'`' | b'|' | b'~')
}

/// `token`: one `tchar` or more.
pub(crate) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|&byte| is_token_byte(byte))
}

/// What a field value is made of: visible characters, blanks and, for history's sake, bytes
/// above 0x7F (`obs-text`). No control character but the tab.
pub(crate) const fn is_field_value_byte(byte: u8) -> bool {
    matches!(byte, b'\t' | b' '..=b'~' | 0x80..=0xff)
}

/// Whether a whole field value is made of what it may be made of.
pub(crate) fn is_field_value(bytes: &[u8]) -> bool {
    bytes.iter().all(|&byte| is_field_value_byte(byte))
}

/// Takes the optional blanks off both ends of a list element.
pub(crate) const fn trim_blanks(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

/// The elements of a list of tokens, without the empty ones, which count for nothing (RFC 9110 section
/// 5.6.1.2).
pub(crate) fn elements(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&byte| byte == b',').map(trim_blanks).filter(|element| !element.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_elements_of_a_list_do_not_count() {
        let check = |input: &[u8], expected: &[&[u8]]| {
            assert_eq!(elements(input).collect::<Vec<_>>(), expected, "{input:?}");
        };
        check(b"", &[]);
        check(b" ,\t,", &[]);
        check(b"a", &[b"a"]);
        check(b", a ,,b c\t,", &[b"a", b"b c"]);
    }

    #[test]
    fn blanks_are_taken_off_both_ends_only() {
        let check = |input: &str, expected: &str| {
            assert_eq!(trim_blanks(input.as_bytes()), expected.as_bytes(), "{input:?}");
        };
        check("", "");
        check(" \t ", "");
        check(" a b\t", "a b");
        check("\u{b}a", "\u{b}a");
    }

    #[test]
    fn tokens_are_the_characters_of_rfc_9110_section_5_6_2() {
        let delimiters_and_others = "\"(),/:;<=>?@[\\]{} \t\r\n\0\u{7f}";
        for byte in 0..=u8::MAX {
            let visible = byte.is_ascii_graphic();
            let expected = visible && !delimiters_and_others.as_bytes().contains(&byte);
            assert_eq!(is_token_byte(byte), expected, "{byte:#x}");
        }
        assert!(!is_token(b""));
    }
}
