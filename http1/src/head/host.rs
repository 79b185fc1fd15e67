//! `Host` and the authority of a target (RFC 9110 section 7.2, RFC 3986 section 3.2.2).

use std::net::Ipv6Addr;

/// Whether `value` is `uri-host [":" port]` as an http address needs it: with a host that is not
/// empty. User information (`user@`) is none of that. `IPvFuture` is refused: there is none yet.
pub(super) fn is_host_and_port(value: &[u8]) -> bool {
    match value {
        [b'[', rest @ ..] => match rest.iter().position(|&byte| byte == b']') {
            Some(end) => is_ipv6(&rest[..end]) && is_port_suffix(&rest[end + 1..]),
            None => false,
        },
        _ => {
            let suffix = after_registered_name(value);
            suffix.len() < value.len() && is_port_suffix(suffix)
        }
    }
}

fn is_ipv6(address: &[u8]) -> bool {
    std::str::from_utf8(address).is_ok_and(|text| text.parse::<Ipv6Addr>().is_ok())
}

/// Nothing, or a colon and a port; RFC 3986 lets the port be empty, and begin with zeros.
fn is_port_suffix(suffix: &[u8]) -> bool {
    const PORT_MAX: &[u8; 5] = b"65535";
    let [b':', port @ ..] = suffix else { return suffix.is_empty() };
    let mut port = port;
    while let [b'0', rest @ ..] = port {
        port = rest;
    }
    let are_digits = |port: &[u8]| port.iter().fold(true, |all, byte| all & byte.is_ascii_digit());
    match port.as_array() {
        // Of numbers of the same length, the texts are ordered as the numbers are.
        Some(five) => five <= PORT_MAX && are_digits(five),
        None => port.len() < PORT_MAX.len() && are_digits(port),
    }
}

/// What follows `reg-name`, which IPv4 addresses are too: unreserved, percent-encoded, sub-delims.
fn after_registered_name(mut value: &[u8]) -> &[u8] {
    let is_plain = |byte: &u8| STANDS_FOR_ITSELF[usize::from(*byte)];
    loop {
        // Eight at a time as long as it goes, without a branch for each.
        while let Some((eight, rest)) = value.split_first_chunk::<8>()
            && eight.iter().fold(true, |plain, byte| plain & is_plain(byte))
        {
            value = rest;
        }
        let plain = value.iter().take_while(|byte| is_plain(byte)).count();
        value = match &value[plain..] {
            [b'%', high, low, rest @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                rest
            }
            suffix => return suffix,
        };
    }
}

/// Whether a byte may stand in a name as it is. Each request has such a name, and a look at a table is
/// cheaper than the comparisons.
const STANDS_FOR_ITSELF: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 128 {
        table[byte as usize] = is_unreserved(byte) || is_sub_delimiter(byte);
        byte += 1;
    }
    table
};

const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

const fn is_sub_delimiter(byte: u8) -> bool {
    matches!(byte, b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'=')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_judged_by_their_grammar() {
        let check = |value: &[u8], expected: bool| {
            let shown = String::from_utf8_lossy(value);
            assert_eq!(is_host_and_port(value), expected, "{shown:?}");
        };
        for valid in [
            "example.com",
            "example.com:",
            "example.com:65535",
            "example.com:0000065535",
            "example.com:59999",
            "a:00",
            "127.0.0.1:8080",
            "[::1]",
            "[::1]:80",
            "[2001:db8::7]",
            "a_b-c~d",
            "xn--bcher-kva.example",
            "caf%C3%A9.example",
        ] {
            check(valid.as_bytes(), true);
        }
        for invalid in [
            "",
            ":80",
            "a b",
            "a,b c",
            "a/b",
            "a@b",
            "user@example.com:80",
            "a:b",
            "a:80:80",
            "a:65536",
            "a:065536",
            "a:70000",
            "a:100000",
            "a:0x50",
            "a:6553/",
            "a:655:5",
            "a:6553a",
            "a:+80",
            "a:-1",
            "[::1",
            "[]",
            "[::1]x",
            "[::1]80",
            "[fe80::1%eth0]",
            "[v1.a]",
            "::1",
            "a%2",
            "a%zz",
            "a?b",
            "a#b",
            "a\\b",
        ] {
            check(invalid.as_bytes(), false);
        }
        check(b"caf\xc3\xa9.example", false);
    }

    #[test]
    fn a_byte_that_is_in_no_name_is_found_wherever_it_stands() {
        for length in 1..40 {
            let name = vec![b'g'; length];
            assert!(is_host_and_port(&name), "{length}");
            for at in 0..length {
                let mut name = name.clone();
                for byte in [b'/', b'@', b' ', b'%', 0x80] {
                    name[at] = byte;
                    assert!(!is_host_and_port(&name), "{byte:#x} at {at} of {length}");
                }
                // An empty port, or a name where one should be, or no name.
                name[at] = b':';
                assert_eq!(is_host_and_port(&name), at > 0 && at + 1 == length, "{at} of {length}");
            }
        }
    }
}
