//! v1: nothing panics, no more is consumed than there is, and what decodes can be encoded.
#![no_main]

use framing::v1;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let mut rest = input;
    while let Ok(Some((raw, consumed))) = v1::split_request(rest) {
        if let Ok(request) = raw.decode() {
            v1::encode_request(&mut Vec::new(), &request).expect("decoded within the limits");
        }
        rest = &rest[consumed..];
    }
    if let Ok(Some((response, consumed))) = v1::split_response(input) {
        assert!(consumed <= input.len());
        let _ = response.message();
    }
});
