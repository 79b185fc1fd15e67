//! Heads: the scan finds the same end however the input is cut, what parses keeps its promises, and it is the
//! same whether it has come whole.

#![no_main]

use http1::limits::{HEAD_BYTES_DEFAULT, REQUEST_LINE_BYTES_MAX};
use http1::{FieldSlots, Head, HeadScan};
use libfuzzer_sys::fuzz_target;

/// All that a head tells but its headers.
fn facts(head: &Head<'_>) -> String {
    let wishes = (head.expects_continue(), head.is_conditional(), head.requires_match());
    let target = (head.path(), head.query(), head.authority(), head.names_https());
    let framing = (head.version(), head.body_length(), head.persists());
    format!("{:?} {target:?} {framing:?} {wishes:?}", head.method())
}

fuzz_target!(|input: &[u8]| {
    let whole = HeadScan::default().advance(input, HEAD_BYTES_DEFAULT);
    let mut scan = HeadScan::default();
    let bytewise = (1..=input.len())
        .map(|end| scan.advance(&input[..end], HEAD_BYTES_DEFAULT))
        .find(|found| *found != Ok(None))
        .unwrap_or(Ok(None));
    assert_eq!(bytewise, whole);

    let mut slots = FieldSlots::new();
    let taken = Head::parse_whole(input, &mut slots).unwrap_or(None);
    let Ok(Some(length)) = whole else { return assert!(taken.is_none()) };
    let mut slots = FieldSlots::new();
    let parsed = Head::parse(&input[..length], &mut slots);
    if length <= REQUEST_LINE_BYTES_MAX {
        let taken = taken.map(|(head, taken)| (taken, facts(&head)));
        assert_eq!(taken, parsed.ok().map(|head| (length, facts(&head))));
    }
    if let Ok(head) = parsed {
        assert!(head.path().starts_with('/') || head.path() == "*");
        assert!(head.path().bytes().all(|byte| byte.is_ascii_graphic()));
        assert!(!input[..length].windows(2).any(|pair| pair[1] == b'\n' && pair[0] != b'\r'));
        // A host is there, and stands in the head as it is told.
        if let Some(authority) = head.authority() {
            assert!(!authority.is_empty() && !authority.contains(&b'@'));
            assert!(input[..length].windows(authority.len()).any(|part| part == authority));
        }
        for (at, _) in head.path().match_indices('%') {
            let digits = head.path().as_bytes().get(at + 1..at + 3);
            assert!(digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)));
        }
    }
});
