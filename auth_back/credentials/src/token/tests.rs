//! A known token, every way to forge one, and rotation of keys.

use super::*;
use proptest::prelude::*;

/// Made with Python's standard library: `body = b"\x01" + b"\x00\x07" + bytes(range(16))`, and
/// `"gate_" + urlsafe_b64encode(body + hmac.new(b"\x24" * 32, body, "sha256").digest())`.
const KNOWN: &str = "gate_AQAHAAECAwQFBgcICQoLDA0OD-3zlMq9aSM4YSoPLufXV5UnIGsLXdfgf1645XfJIUfA";

/// `hashlib.sha256(bytes(range(16))).hexdigest()`
const KNOWN_DIGEST: &str = "be45cb2605bf36bebde684841a28f0fd43c69850a3dce5fedba69928ee3a8991";

fn id(id: u16) -> KeyId {
    KeyId::new(id).unwrap()
}

/// Keys by id and the byte that they consist of; the first is active.
fn ring(keys: &[(u16, u8)]) -> TokenKeyring {
    let all = keys.iter().map(|&(n, byte)| (id(n), SecretKey::from([byte; 32]))).collect();
    TokenKeyring::new(Keyring::new(id(keys[0].0), all).unwrap())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[track_caller]
fn check(text: &str, keys: &[(u16, u8)], expected: Result<(), TokenError>) {
    let found = ring(keys).check(text);
    assert_eq!(found.as_ref().map(|_| ()).map_err(|error| *error), expected, "{text}");
    if let Ok(token) = found {
        assert_eq!(token.expose(), text);
    }
}

#[test]
fn known_token() {
    let random = std::array::from_fn(|index| u8::try_from(index).unwrap());
    let made = ring(&[(7, 0x24)]).sign(&random);
    assert_eq!(made.expose(), KNOWN);
    assert_eq!(made.expose().len(), TOKEN_TEXT_LEN);
    assert_eq!(hex(made.digest().as_bytes()), KNOWN_DIGEST);
    let read = ring(&[(7, 0x24)]).check(KNOWN).unwrap();
    assert_eq!(read.digest(), made.digest());
}

/// RFC 4231, sections 4.3 and 4.4: test cases 2 and 3, whose keys are padded here as HMAC itself
/// pads them, with zeros.
#[test]
fn rfc_4231() {
    let pad = |short: &[u8]| {
        let mut key = [0; 32];
        key[..short.len()].copy_from_slice(short);
        SecretKey::from(key)
    };
    let cases: [(&[u8], &[u8], &str); 2] = [
        (
            b"Jefe",
            b"what do ya want for nothing?",
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
        ),
        (
            &[0xaa; 20],
            &[0xdd; 50],
            "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe",
        ),
    ];
    for (key, data, expected) in cases {
        assert_eq!(hex(mac(&pad(key), data).finalize().as_bytes()), expected);
    }
}

#[test]
fn rotation() {
    let old = ring(&[(1, 0x11)]).issue().unwrap();
    check(old.expose(), &[(2, 0x22), (1, 0x11)], Ok(()));
    check(old.expose(), &[(2, 0x22)], Err(TokenError::UnknownKey(id(1))));
    let new = ring(&[(2, 0x22), (1, 0x11)]).issue().unwrap();
    check(new.expose(), &[(2, 0x22)], Ok(()));
    check(new.expose(), &[(1, 0x11)], Err(TokenError::UnknownKey(id(2))));
}

#[test]
fn tokens_differ() {
    let ring = ring(&[(1, 0x11)]);
    let (first, second) = (ring.issue().unwrap(), ring.issue().unwrap());
    assert_ne!(first.expose(), second.expose());
    assert_ne!(first.digest(), second.digest());
}

#[test]
fn forgeries() {
    let keys = [(7, 0x24), (8, 0x25)];
    check(KNOWN, &[(7, 0x25)], Err(TokenError::Forged(id(7))));
    // Every bit of the body is covered: by the form, by the key's id, or by the tag.
    let body = decode(KNOWN).unwrap();
    for bit in 0..BODY_LEN * 8 {
        let mut forged = *body;
        forged[bit / 8] ^= 1 << (bit % 8);
        let text = format!("{PREFIX}{}", B64_URL.encode(forged));
        assert!(ring(&keys).check(&text).is_err(), "bit {bit}");
    }
    // A token of one key under the id of another.
    let mut renamed = *body;
    renamed[2] = 8;
    let text = format!("{PREFIX}{}", B64_URL.encode(renamed));
    check(&text, &keys, Err(TokenError::Forged(id(8))));
}

#[test]
fn malformed() {
    let replace = |from: &str, to: &str| {
        assert!(KNOWN.contains(from));
        KNOWN.replacen(from, to, 1)
    };
    for text in [
        String::new(),
        PREFIX.to_owned(),
        KNOWN[..KNOWN.len() - 1].to_owned(),
        format!("{KNOWN}="),
        format!("{KNOWN}A"),
        format!(" {}", &KNOWN[..KNOWN.len() - 1]),
        replace("gate_", "GATE_"),
        replace("gate_", "gate-"),
        replace("gate_AQAH", "gate_AgAH"), // version 2
        replace("gate_AQAH", "gate_AQAA"), // key id 0
        replace("OD-3z", "OD+3z"),         // the other alphabet
        replace("IUfA", "IUf\n"),
        replace("IUfA", "IUé"),
    ] {
        check(&text, &[(7, 0x24)], Err(TokenError::Malformed));
    }
}

#[test]
fn shows_nothing() {
    let ring = ring(&[(7, 0x41)]);
    let token = ring.issue().unwrap();
    assert_eq!(format!("{token:?}"), "Token(***)");
    assert_eq!(format!("{:?}", token.digest()), "TokenDigest(***)");
    assert_eq!(format!("{ring:?}"), "TokenKeyring(Keyring { active: 7, others: [] })");
    for error in [TokenError::Malformed, TokenError::Forged(id(7)), TokenError::UnknownKey(id(7))] {
        assert!(!error.to_string().contains(PREFIX));
    }
}

proptest! {
    #[test]
    fn no_text_is_taken_by_chance(text in "gate_[A-Za-z0-9_-]{68}|\\PC{0,80}") {
        prop_assert!(ring(&[(7, 0x24)]).check(&text).is_err());
    }

    #[test]
    fn what_was_issued_is_taken(random: [u8; TOKEN_RANDOM_LEN], n in 1u16.., key: u8) {
        let ring = ring(&[(n, key)]);
        let token = ring.sign(&random);
        prop_assert_eq!(ring.check(token.expose()).unwrap().digest(), token.digest());
    }
}
