//! Heads: the scan finds the same end however the input is cut, what parses keeps its promises, and it is the
//! same whether it has come whole.

#![no_main]

use http1::limits::REQUEST_LINE_BYTES_MAX;
use http1::{FieldSlots, Head, HeadScan};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let whole = HeadScan::default().advance(input);
    let mut scan = HeadScan::default();
    let bytewise = (1..=input.len())
        .map(|end| scan.advance(&input[..end]))
        .find(|found| *found != Ok(None))
        .unwrap_or(Ok(None));
    assert_eq!(bytewise, whole);

    let mut slots = FieldSlots::new();
    let taken = Head::parse_whole(input, &mut slots).unwrap_or(None);
    let Ok(Some(length)) = whole else { return assert!(taken.is_none()) };
    let mut slots = FieldSlots::new();
    let parsed = Head::parse(&input[..length], &mut slots);
    if length <= REQUEST_LINE_BYTES_MAX {
        let taken = taken.map(|(head, taken)| (taken, head.path(), head.body_length()));
        assert_eq!(taken, parsed.ok().map(|head| (length, head.path(), head.body_length())));
    }
    if let Ok(head) = parsed {
        assert!(head.path().starts_with('/') || head.path() == "*");
        assert!(head.path().bytes().all(|byte| byte.is_ascii_graphic()));
        assert!(!input[..length].windows(2).any(|pair| pair[1] == b'\n' && pair[0] != b'\r'));
    }
});
