//! Heads: the scan finds the same end however the input is cut, and what parses keeps its promises.

#![no_main]

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

    let Ok(Some(length)) = whole else { return };
    let mut slots = FieldSlots::new();
    if let Ok(head) = Head::parse(&input[..length], &mut slots) {
        assert!(head.path().starts_with('/') || head.path() == "*");
        assert!(head.path().bytes().all(|byte| byte.is_ascii_graphic()));
        assert!(!input[..length].windows(2).any(|pair| pair[1] == b'\n' && pair[0] != b'\r'));
    }
});
