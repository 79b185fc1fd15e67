//! What holds for every input of v1's decoders.

use framing::{FrameError, Secret, Status, Version, sniff, v1, v2};
use proptest::{collection, option, prelude::*};

prop_compose! {
    fn request_bytes()(
        username in ".{0,20}",
        password in ".{0,40}",
        name in option::of(".{1,20}"),
        age in option::of(1_u8..),
        register: bool,
    ) -> Vec<u8> {
        let password = Secret::new(&password);
        let (username, name) = (username.as_str(), name.as_deref());
        let request = if register {
            v1::Request::Register { username, password, name, age }
        } else {
            v1::Request::Authenticate { username, password }
        };
        let mut out = Vec::new();
        v1::encode_request(&mut out, &request).expect("within limits");
        out
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn a_request_survives_the_wire(wire in request_bytes(), more in collection::vec(any::<u8>(), 0..9)) {
        let input = [wire.as_slice(), &more].concat();
        let (raw, consumed) = v1::split_request(&input).expect("well framed").expect("complete");
        prop_assert_eq!(consumed, wire.len());
        let mut again = Vec::new();
        v1::encode_request(&mut again, &raw.decode().expect("UTF-8")).expect("within limits");
        prop_assert_eq!(again, wire);
    }

    #[test]
    fn every_truncation_needs_more(wire in request_bytes()) {
        for cut in 0..wire.len() {
            prop_assert_eq!(v1::split_request(&wire[..cut]), Ok(None));
        }
    }

    #[test]
    fn a_response_survives_the_wire(status in 100_u16..600, message in ".{0,60}") {
        let status = Status::new(status).expect("in range");
        let mut wire = Vec::new();
        v1::encode_response(&mut wire, status, Secret::new(&message)).expect("within limits");
        for cut in 0..wire.len() {
            prop_assert_eq!(v1::split_response(&wire[..cut]), Ok(None));
        }
        let (response, consumed) = v1::split_response(&wire).expect("well framed").expect("complete");
        prop_assert_eq!((response.status, consumed), (status, wire.len()));
        prop_assert_eq!(response.message().expect("UTF-8").expose(), message);
    }

    #[test]
    fn no_more_is_consumed_than_there_is(
        start in prop_oneof![Just(&b""[..]), Just(&b"\x03REG\0"[..]), Just(&b"\x04AUTH\0"[..])],
        rest in collection::vec(prop_oneof![Just(0), any::<u8>()], 0..300),
    ) {
        let input = [start, &rest].concat();
        for cut in 0..=input.len() {
            if let Ok(Some((raw, consumed))) = v1::split_request(&input[..cut]) {
                prop_assert!(consumed <= cut);
                let _ = raw.decode();
            }
            if let Ok(Some((response, consumed))) = v1::split_response(&input[..cut]) {
                prop_assert!(consumed <= cut);
                let _ = response.message();
            }
        }
    }
}

#[test]
fn one_byte_tells_the_versions_apart() {
    for first in 0..=u8::MAX {
        let expected = match first {
            3 | 4 => Ok(Version::V1),
            0x47 => Ok(Version::V2),
            other => Err(FrameError::FirstByte(other)),
        };
        assert_eq!(sniff(first), expected);
        // The splitters agree with it on every first byte.
        assert_eq!(v1::split_request(&[first]).is_ok(), expected == Ok(Version::V1));
        assert_eq!(v2::split_frame(&[first]).is_ok(), expected == Ok(Version::V2));
    }
}
