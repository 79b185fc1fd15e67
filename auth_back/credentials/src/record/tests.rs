//! A known record, every way to damage one, and what verifying says to each.

use hashing::limits::TAG_LEN;
use hashing::{HashEngine, ParamsError};
use proptest::prelude::*;

use super::text::LONGEST;
use super::*;
use crate::keyring::Keyring;
use crate::limits::RECORD_LEN_MAX;
use crate::pepper::sealed_len;
use crate::secret::SecretKey;

const USER: u64 = 1_234_567_890_123_456_789;
const STAPLE: &str = "correct horse battery staple";

/// Made by other implementations: the tag by `argon2-cffi` 25.1.0 with the salt `bytes(range(16))`,
/// sealed by `PyNaCl` 1.6.2, `crypto_aead_xchacha20poly1305_ietf_encrypt(tag, aad, nonce, key)`, with
/// the key `b"\x42" * 32`, the nonce `bytes(range(64, 88))`, and as aad the user id in 8 bytes,
/// big-endian, and the record up to `k=7`.
const KNOWN: &str = "$gh1$argon2id$v=19$m=64,t=3,p=1$AAECAwQFBgcICQoLDA0ODw$k=7\
    $QEFCQ0RFRkdISUpLTE1OT1BRUlNUVVZX\
    $o2gbY4s+nlzmXN/dc28qYiypAIhZy2OqDPhak/DdPT68N0OiYKaJ8UXSefIuvkyx";

fn user(id: u64) -> UserId {
    UserId::new(id).unwrap()
}

fn key_id(id: u16) -> KeyId {
    KeyId::new(id).unwrap()
}

fn params(m_kib: u32, t: u32) -> Params {
    Params::in_record(m_kib, t, 1).unwrap()
}

fn password(text: &str) -> Password {
    Password::for_login(text).unwrap()
}

fn arena() -> Arena {
    Arena::new(HashEngine::default(), params(64, 1)).unwrap()
}

/// Peppers by id and the byte that the key consists of; the first is active.
fn peppers(keys: &[(u16, u8)]) -> PepperKeyring {
    let all = keys.iter().map(|&(id, byte)| (key_id(id), SecretKey::from([byte; 32]))).collect();
    PepperKeyring::new(Keyring::new(key_id(keys[0].0), all).unwrap())
}

fn known() -> PasswordRecord {
    KNOWN.parse().unwrap()
}

#[test]
fn known_record_is_made() {
    let salt = Salt(std::array::from_fn(|index| u8::try_from(index).unwrap()));
    let function = Function::Ours { params: params(64, 3), salt };
    let header = Header { function, pepper: key_id(7) };
    let nonce = Nonce(std::array::from_fn(|index| 64 + u8::try_from(index).unwrap()));
    let (peppers, mut arena) = (peppers(&[(7, 0x42)]), arena());
    let tag = arena.hash(&password(STAPLE), &salt, params(64, 3)).unwrap();
    let made = PasswordRecord::seal(user(USER), &tag, header, nonce, &peppers);
    assert_eq!(made.to_text(), KNOWN);
    assert_eq!(made.recipe(), Some((salt, params(64, 3))));
}

#[track_caller]
fn check_verify(
    record: &PasswordRecord,
    (id, text): (u64, &str),
    keys: &[(u16, u8)],
    expected: Result<Verdict, VerifyError>,
) {
    let (user, offered, peppers) = (user(id), password(text), peppers(keys));
    let verdict = record.verify(user, &offered, &peppers, &mut arena());
    assert_eq!(verdict, expected);
    // The same in steps.
    let Some((salt, params)) = record.recipe() else { return };
    let verdict = record.open(user, &peppers).and_then(|stored| {
        let tag = arena().hash(&offered, &salt, params)?;
        Ok(Verdict::on(&tag, &stored))
    });
    assert_eq!(verdict, expected);
}

#[test]
fn verdicts() {
    let keys = [(7, 0x42)];
    check_verify(&known(), (USER, STAPLE), &keys, Ok(Verdict::Match));
    check_verify(&known(), (USER, "Correct horse battery staple"), &keys, Ok(Verdict::Mismatch));
    check_verify(&known(), (USER, "x"), &keys, Ok(Verdict::Mismatch));
    let retired = [(8, 1), (7, 0x42), (9, 2)];
    check_verify(&known(), (USER, STAPLE), &retired, Ok(Verdict::Match));
}

#[test]
fn not_knowing_is_never_a_mismatch() {
    let unknown = Err(VerifyError::UnknownPepper(key_id(7)));
    check_verify(&known(), (USER, STAPLE), &[(8, 0x42)], unknown);
    let not_authentic = Err(VerifyError::NotAuthentic(key_id(7)));
    check_verify(&known(), (USER, STAPLE), &[(7, 0x43)], not_authentic);
    check_verify(&known(), (USER + 1, STAPLE), &[(7, 0x42)], not_authentic);

    // Edited in the store: each part of the record is bound by the seal.
    let keys = [(7, 0x42), (8, 0x42)];
    for (from, to, error) in [
        ("m=64", "m=63", VerifyError::NotAuthentic(key_id(7))),
        ("t=3", "t=1", VerifyError::NotAuthentic(key_id(7))),
        ("p=1", "p=2", VerifyError::NotAuthentic(key_id(7))),
        ("$AAEC", "$AAED", VerifyError::NotAuthentic(key_id(7))),
        ("$k=7", "$k=8", VerifyError::NotAuthentic(key_id(8))),
        ("$QEFC", "$QEFD", VerifyError::NotAuthentic(key_id(7))),
        ("$o2gb", "$o2gc", VerifyError::NotAuthentic(key_id(7))),
        ("kyx", "kyy", VerifyError::NotAuthentic(key_id(7))),
    ] {
        let edited: PasswordRecord = KNOWN.replacen(from, to, 1).parse().unwrap();
        check_verify(&edited, (USER, STAPLE), &keys, Err(error));
    }
}

#[test]
fn a_record_that_needs_more_memory_says_so() {
    let mut small = Arena::new(HashEngine::default(), params(8, 1)).unwrap();
    let error = known()
        .verify(user(USER), &password(STAPLE), &peppers(&[(7, 0x42)]), &mut small)
        .unwrap_err();
    let expected = HashError::ArenaTooSmall { needed_kib: 64, arena_kib: 8 };
    assert_eq!(error, VerifyError::Hash(expected));
}

#[test]
fn a_created_record_verifies_after_a_round_trip() {
    let (peppers, mut arena) = (peppers(&[(2, 9), (1, 8)]), arena());
    let mut create = || {
        let (user, password) = (user(1), password(STAPLE));
        PasswordRecord::create(user, &password, params(16, 2), &peppers, &mut arena).unwrap()
    };
    let (first, second) = (create(), create());
    assert_ne!(first.header.function.salt(), second.header.function.salt());
    assert_ne!(first.nonce, second.nonce);
    assert_eq!((first.params(), first.pepper_id()), (Some(params(16, 2)), key_id(2)));
    let stored: PasswordRecord = first.to_text().parse().unwrap();
    check_verify(&stored, (1, STAPLE), &[(2, 9)], Ok(Verdict::Match));
    check_verify(&stored, (1, "else"), &[(2, 9)], Ok(Verdict::Mismatch));
}

#[test]
fn upgrades() {
    for (params, keys, expected) in [
        (params(64, 3), &[(7, 0x42)][..], false),
        (params(64, 3), &[(7, 0x42), (8, 1)][..], false),
        (params(64, 3), &[(8, 1), (7, 0x42)][..], true),
        (params(64, 2), &[(7, 0x42)][..], true),
        (params(63, 3), &[(7, 0x42)][..], true),
    ] {
        assert_eq!(known().needs_upgrade(params, &peppers(keys)), expected, "{params} {keys:?}");
    }
}

/// Replaces `from` in the known record and compares what reading it says.
#[track_caller]
fn check_parse(from: &str, to: &str, expected: RecordError) {
    assert!(KNOWN.contains(from), "{from}");
    let text = KNOWN.replacen(from, to, 1);
    assert_eq!(text.parse::<PasswordRecord>(), Err(expected), "{text}");
}

#[test]
fn malformed_records() {
    use RecordError::{Algorithm, Field, Format, Params, TooLong, Trailing};
    check_parse(KNOWN, "", Format);
    check_parse("$gh1", "gh1", Format);
    check_parse("$gh1", " $gh1", Format);
    check_parse("$gh1", "$gh2", Format);
    check_parse("$gh1", "$GH1", Format);
    check_parse("$gh1$", "$", Format);
    check_parse("argon2id", "argon2i", Algorithm);
    check_parse("v=19", "v=16", Algorithm);
    check_parse("m=64", "m=064", Params(ParamsError::Syntax));
    check_parse("m=64", "m=4294967295", Params(ParamsError::Memory(u32::MAX)));
    check_parse("t=3", "t=65", Params(ParamsError::Passes(65)));
    check_parse("k=7", "k=0", Field("pepper id"));
    check_parse("k=7", "k=07", Field("pepper id"));
    check_parse("k=7", "k=65536", Field("pepper id"));
    check_parse("k=7", "7", Field("pepper id"));
    check_parse("ODw$", "ODw=$", Field("salt"));
    check_parse("ODw$", "ODx$", Field("salt")); // the same bytes, unused bits set
    check_parse("ODw$", "OD$", Field("salt"));
    check_parse("AAEC", "AA-C", Field("salt"));
    check_parse("AAEC", "AAé", Field("salt"));
    check_parse("VVZX", "VVZ", Field("nonce"));
    check_parse("vkyx", "vky", Field("sealed tag"));
    check_parse("vkyx", "vkyxAAAA", Field("sealed tag"));
    check_parse("vkyx", "vkyx$", Trailing);
    check_parse("vkyx", "vkyx\n", Field("sealed tag"));
    check_parse("vkyx", &"A".repeat(200), TooLong { len: KNOWN.len() - 4 + 200 });
}

#[test]
fn every_truncation_is_an_error() {
    for len in 0..KNOWN.len() {
        assert!(KNOWN[..len].parse::<PasswordRecord>().is_err(), "{len}");
    }
}

#[test]
fn the_longest_record_fits() {
    let params = Params::in_record(1 << 20, 1, 16).unwrap();
    let function = Function::Ours { params, salt: Salt([0xff; 16]) };
    let header = Header { function, pepper: key_id(u16::MAX) };
    let sealed = SealedTag::new(&[0xff; sealed_len(TAG_LEN)]).unwrap();
    let record = PasswordRecord { header, nonce: Nonce([0xff; 24]), sealed };
    let text = record.to_text();
    assert!(text.is_ascii());
    // One digit of t short of the sum, because so much memory allows no t of two digits.
    assert_eq!(text.len(), LONGEST - 1);
    assert_eq!(text.parse(), Ok(record));
}

#[test]
fn debug_shows_neither_salt_nor_tag() {
    assert_eq!(
        format!("{:?}", known()),
        "PasswordRecord { function: argon2id$v=19$m=64,t=3,p=1, pepper: 7, .. }"
    );
}

proptest! {
    /// Whatever is read prints as it was written, whatever one byte was replaced by.
    #[test]
    fn reading_is_canonical(index in 0..KNOWN.len(), byte in 0x20u8..0x7f) {
        let mut text = KNOWN.as_bytes().to_vec();
        text[index] = byte;
        let text = String::from_utf8(text).unwrap();
        if let Ok(record) = text.parse::<PasswordRecord>() {
            prop_assert_eq!(record.to_text(), text);
        }
    }

    #[test]
    fn any_record_round_trips(
        (m, t) in (8u32..=65_536, 1u32..=64),
        salt: [u8; 16],
        pepper in 1u16..,
        nonce: [u8; 24],
        ends: (u8, u8),
    ) {
        let mut sealed = [ends.0; sealed_len(TAG_LEN)];
        *sealed.last_mut().unwrap() = ends.1;
        let function = Function::Ours { params: params(m, t), salt: Salt(salt) };
        let header = Header { function, pepper: key_id(pepper) };
        let sealed = SealedTag::new(&sealed).unwrap();
        let record = PasswordRecord { header, nonce: Nonce(nonce), sealed };
        prop_assert!(record.to_text().len() <= RECORD_LEN_MAX);
        prop_assert_eq!(record.to_text().parse(), Ok(record));
    }
}
