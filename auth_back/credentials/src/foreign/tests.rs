//! Hashes by other implementations, and texts that are none.

use hashing::{Annex, HashEngine, Params, WorkKind};
use proptest::prelude::*;

use super::*;
use crate::ids::UserId;
use crate::keyring::{KeyId, Keyring};
use crate::limits::RECORD_LEN_MAX;
use crate::{Password, PasswordRecord, PepperKeyring, SecretKey, Verdict};

/// Made by other implementations; the file and the script beside it say which and how.
const VECTORS: &str = include_str!("../../testdata/foreign_hashes.tsv");

/// Password and hash of each vector.
fn vectors() -> Vec<(String, &'static str)> {
    let lines = VECTORS.lines().filter(|line| !line.starts_with('#'));
    let vectors = lines.map(|line| {
        let [_, _, password, hash] = line.split('\t').collect::<Vec<_>>().try_into().unwrap();
        let byte = |at| u8::from_str_radix(&password[at..at + 2], 16).unwrap();
        let password: Vec<u8> = (0..password.len()).step_by(2).map(byte).collect();
        (String::from_utf8(password).unwrap(), hash)
    });
    vectors.collect()
}

fn peppers() -> PepperKeyring {
    PepperKeyring::new(Keyring::single(KeyId::FIRST, SecretKey::from([7; 32])))
}

fn user() -> UserId {
    UserId::new(7).unwrap()
}

fn record(hash: &str) -> PasswordRecord {
    let record = PasswordRecord::import(user(), &hash.parse().unwrap(), &peppers()).unwrap();
    let text = record.to_text();
    assert!(text.len() <= RECORD_LEN_MAX && text.starts_with("$gh1$foreign-"), "{text}");
    assert_eq!(text.parse().as_ref(), Ok(&record));
    record
}

fn verify(record: &PasswordRecord, password: &str, engine: HashEngine) -> Verdict {
    let annex = Annex::new(engine);
    let password = Password::for_login(password).unwrap();
    let mut arena = annex.arena(record.need()).unwrap();
    record.verify(user(), &password, &peppers(), &mut arena).unwrap()
}

#[test]
fn hashes_of_other_implementations() {
    let vectors = vectors();
    assert!(vectors.len() >= 35, "{}", vectors.len());
    for (password, hash) in &vectors {
        // The engines differ in argon2 alone; and passing over a slow repeat saves seconds.
        let engines =
            if hash.contains("argon2") { &HashEngine::ALL[..] } else { &[HashEngine::Reference] };
        for &engine in engines {
            let record = record(hash);
            assert!(record.needs_upgrade(Params::default(), &peppers()), "{hash}");
            assert_eq!(verify(&record, password, engine), Verdict::Match, "{hash}");
            let wrong = format!("x{password}");
            assert_eq!(verify(&record, &wrong, engine), Verdict::Mismatch, "{hash}");
        }
    }
}

/// Most foreign argon2 fits an arena, which is larger, has other lanes, and has been used for ours.
#[test]
fn an_arena_serves_every_argon2_that_fits() {
    let ours = Params::in_record(300, 1, 1).unwrap();
    for engine in HashEngine::ALL {
        let mut arena = hashing::Arena::new(engine, ours).unwrap();
        let mut served = 0;
        for (password, hash) in vectors().iter().filter(|(_, hash)| hash.contains("$argon2")) {
            let record = record(hash);
            if record.need().exceeds(300) {
                continue;
            }
            let (right, wrong) = (Password::for_login(password), Password::for_login("wrong"));
            for (text, expected) in [
                (right, Verdict::Match),
                (wrong, Verdict::Mismatch),
                (Password::for_login(password), Verdict::Match),
            ] {
                let text = text.unwrap();
                PasswordRecord::create(user(), &text, ours, &peppers(), &mut arena).unwrap();
                let verdict = record.verify(user(), &text, &peppers(), &mut arena).unwrap();
                assert_eq!(verdict, expected, "{engine:?} {hash}");
            }
            served += 1;
        }
        assert_eq!(served, 12);
    }
}

#[test]
fn what_is_written_reads_as_the_same() {
    for (_, hash) in vectors() {
        let record = record(hash);
        let unsealed = record.unseal(user(), &peppers()).unwrap();
        let again: ForeignHash = unsealed.to_text().parse().unwrap();
        assert_eq!(again.function, unsealed.function, "{hash}");
        assert_eq!(again.salt, unsealed.salt, "{hash}");
        assert_eq!(again.tag.expose(), unsealed.tag.expose(), "{hash}");
        if hash.starts_with("$argon2") && hash.contains("$v=") || hash.starts_with("$2b$") {
            assert_eq!(*unsealed.to_text(), hash);
        }
    }
}

/// Systems that do not normalise hashed what was typed; the same password composed is another to them.
#[test]
fn text_that_was_hashed_as_typed() {
    let decomposed = "pa\u{308}ssword decomposed";
    let mut found = 0;
    for (_, hash) in vectors().iter().filter(|(password, _)| password == decomposed) {
        let record = record(hash);
        assert_eq!(verify(&record, decomposed, HashEngine::Reference), Verdict::Match);
        let composed = "p\u{e4}ssword decomposed";
        assert_eq!(verify(&record, composed, HashEngine::Reference), Verdict::Mismatch);
        found += 1;
    }
    assert_eq!(found, 2);
    // The other way round: a system that normalised, and a keyboard that does not.
    let (password, hash) = vectors().into_iter().find(|(text, _)| text.contains('\u{e4}')).unwrap();
    let typed = password.replace('\u{e4}', "a\u{308}");
    assert_ne!(typed, password);
    assert_eq!(verify(&record(hash), &typed, HashEngine::Reference), Verdict::Match);
}

#[test]
fn bcrypt_looks_at_72_bytes_and_proves_no_more() {
    let long = "0123456789".repeat(8);
    let of = |start: &str| {
        let wanted = |(text, hash): &(String, &str)| *text == long && hash.starts_with(start);
        record(vectors().into_iter().find(wanted).unwrap().1)
    };
    let check = |record: &PasswordRecord, text: &str, matches: bool, proves: bool| {
        let verdict = verify(record, text, HashEngine::Reference);
        assert_eq!(verdict == Verdict::Match, matches, "{text}");
        assert_eq!(record.proves(&Password::for_login(text).unwrap()), proves, "{text}");
    };
    let plain = of("$2b$");
    check(&plain, &long, true, false);
    check(&plain, &long[..72], true, true);
    check(&plain, &long[..71], false, true);
    check(&plain, &format!("{}mistyped", &long[..72]), true, false);
    let digested = of("bcrypt_sha256$");
    check(&digested, &long, true, true);
    check(&digested, &long[..72], false, true);
}

#[test]
fn scrypt_takes_no_memory_that_it_was_not_given() {
    let (password, hash) = vectors().into_iter().find(|(_, hash)| hash.contains("ln=16")).unwrap();
    let record = record(hash);
    let password = Password::for_login(&password).unwrap();
    let params = Params::in_record(1 << 16, 1, 1).unwrap();
    let mut arena = hashing::Arena::new(HashEngine::Reference, params).unwrap();
    record.verify(user(), &password, &peppers(), &mut arena).unwrap_err();
}

#[track_caller]
fn check(text: &str, expected: ForeignError) {
    assert_eq!(text.parse::<ForeignHash>().unwrap_err(), expected, "{text}");
}

fn out_of_range(what: &'static str, value: u64, min: u64, max: u64) -> ForeignError {
    CostOutOfRange { what, value, min, max }.into()
}

#[test]
fn texts_that_are_no_hash() {
    use ForeignError::{Absent, Field, Unknown};
    check("", Absent);
    check("!", Absent);
    check("*", Absent);
    check("!Xz0q", Absent);
    check("correct horse battery", Unknown);
    check("5f4dcc3b5aa765d61d8327deb882cf99", Unknown);
    check("$", Unknown);
    check("$$", Unknown);
    check("$argon2$v=19$m=64,t=1,p=1$c2FsdHNhbHQ$AAAA", Unknown);
    check(&"$2b$12$".repeat(100), ForeignError::TooLong { len: 700 });
    for text in ["$2x$12$abc", "$1$a$b", "$6$a$b", "$7$abc", "{SSHA}abc", "md5$a$b", "$y$a"] {
        let error = text.parse::<ForeignHash>().unwrap_err();
        assert!(matches!(error, ForeignError::NotTaken(..)), "{text}: {error}");
    }
    let phc = "$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHQ$MDEyMzQ1Njc4OWFiY2RlZg";
    assert!(phc.parse::<ForeignHash>().is_ok());
    for (from, to, error) in [
        ("v=19", "v=18", Field("version")),
        ("v=19$", "v=19", Field("version")),
        ("m=64", "m=064", Field("cost")),
        ("m=64", "m=-1", Field("cost")),
        ("m=64,t=1", "t=1,m=64", Field("cost")),
        ("p=1", "p=1,q=1", Field("cost")),
        ("c2FsdHNhbHQ", "c2Fsd*NhbHQ", Field("salt")),
        ("MDEy", "MDé", Field("tag")),
        ("$MDEy", "", Field("number of fields")),
        ("$MDEy", "$MDEy$", Field("number of fields")),
        ("c2FsdHNhbHQ", "c2FsdHNhbA", out_of_range("length of the salt", 7, 8, 32)),
        ("MDEyMzQ1", "", out_of_range("length of the tag", 10, 16, 64)),
        ("m=64", "m=131073", out_of_range("memory in KiB", 131_073, 1, 131_072)),
        ("t=1", "t=0", ForeignError::Params(ParamsError::Passes(0))),
        ("p=1", "p=9", ForeignError::Params(ParamsError::Memory(64))),
        ("p=1", "p=17", ForeignError::Params(ParamsError::Lanes(17))),
    ] {
        assert!(phc.contains(from), "{from}");
        check(&phc.replacen(from, to, 1), error);
    }
}

#[test]
fn costs_have_bounds() {
    use ForeignError::Field;
    let tail = "L6Bc/AlTQHyd9liGgGEZyOFLPHNgyxeEPfgYfBCVxJ7JIlwxyVU3u";
    check(&format!("$2b$31${tail}"), out_of_range("bcrypt cost", 31, 4, 15));
    check(&format!("$2b$16${tail}"), out_of_range("bcrypt cost", 16, 4, 15));
    check(&format!("$2b$03${tail}"), out_of_range("bcrypt cost", 3, 4, 15));
    check(&format!("$2b$4${tail}"), Field("length"));
    check(&format!("$2b$12${tail}u"), Field("length"));
    check(&format!("$2b$12$é{}", &tail[2..]), Field("salt"));

    let rest = "c2FsdA$MDEyMzQ1Njc4OWFiY2RlZg";
    let scrypt = |cost: &str| format!("$scrypt${cost}${rest}");
    assert!(scrypt("ln=17,r=8,p=1").parse::<ForeignHash>().is_ok());
    check(&scrypt("ln=18,r=8,p=1"), out_of_range("memory in KiB", 262_144, 1, 131_072));
    check(&scrypt("ln=0,r=8,p=1"), out_of_range("ln of scrypt", 0, 1, 20));
    check(&scrypt("ln=63,r=8,p=1"), out_of_range("ln of scrypt", 63, 1, 20));
    check(&scrypt("ln=300,r=8,p=1"), out_of_range("ln of scrypt", 255, 1, 20));
    check(&scrypt("ln=10,r=33,p=1"), out_of_range("r of scrypt", 33, 1, 32));
    check(&scrypt("ln=10,r=8,p=17"), out_of_range("p of scrypt", 17, 1, 16));
    let error = out_of_range("work of scrypt in KiB", 131_072 * 9, 1, 1 << 20);
    check(&scrypt("ln=17,r=8,p=9"), error);

    let pbkdf2 = |cost: &str| format!("$pbkdf2-sha256${cost}${rest}");
    for (cost, error) in [
        ("0", out_of_range("number of PBKDF2 rounds", 0, 1, 10_000_000)),
        ("10000001", out_of_range("number of PBKDF2 rounds", 10_000_001, 1, 10_000_000)),
        ("99999999999", Field("cost")),
        ("i=1000,l=32", Field("length")),
        ("i=1000,x=16", Field("length")),
    ] {
        check(&pbkdf2(cost), error);
    }
    let two_blocks = "$pbkdf2-sha256$9000000$c2FsdA$\
        MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWYwMTIzNDU2Nzg5YWJjZGVm";
    check(two_blocks, out_of_range("number of PBKDF2 rounds", 18_000_000, 1, 10_000_000));
    let long_salt = format!("pbkdf2_sha256$1000${}$MDEyMzQ1Njc4OWFiY2RlZg==", "s".repeat(33));
    check(&long_salt, out_of_range("length of the salt", 33, 1, 32));
}

#[test]
fn nothing_of_a_hash_is_shown() {
    for (_, hash) in vectors() {
        let secret = &hash[hash.len() - 8..];
        let foreign: ForeignHash = hash.parse().unwrap();
        let shown = format!("{foreign:?} {:?}", record(hash));
        assert!(!shown.contains(secret), "{shown}");
        let error = format!("{hash}*").parse::<ForeignHash>().unwrap_err().to_string();
        assert!(!error.contains(secret), "{error}");
    }
}

proptest! {
    /// Nothing makes the reader panic, and what it takes has a record that fits.
    #[test]
    fn any_text_is_judged(index in 0usize..35, at: prop::sample::Index, with in "\\PC{0,3}") {
        let hash = vectors()[index].1;
        let at = at.index(hash.len());
        let text = format!("{}{with}{}", &hash[..at], &hash[at + 1..]);
        if text.parse::<ForeignHash>().is_ok() {
            record(&text);
        }
    }
}

#[test]
fn the_work_of_each_form() {
    let check = |text: &str, kind, amount| {
        let hash: ForeignHash = text.parse().expect(text);
        assert_eq!(hash.work(), Work { kind, amount }, "{text}");
    };
    let tag = "A".repeat(43);
    let bcrypt = "$2b$12$L6Bc/AlTQHyd9liGgGEZyOFLPHNgyxeEPfgYfBCVxJ7JIlwxyVU3u";
    check(bcrypt, WorkKind::Bcrypt, 4_096);
    let argon2 = format!("$argon2i$v=19$m=65536,t=3,p=4$c2FsdHNhbHQ${tag}");
    check(&argon2, WorkKind::Argon2, 3 * 65_536);
    let scrypt = format!("$scrypt$ln=16,r=8,p=2$c2FsdHNhbHQ${tag}");
    check(&scrypt, WorkKind::Scrypt, 2 * 65_536);
    for (name, kind, blocks) in [
        ("sha1", WorkKind::Pbkdf2Sha1, 2),
        ("sha256", WorkKind::Pbkdf2Sha256, 1),
        ("sha512", WorkKind::Pbkdf2Sha512, 1),
    ] {
        let pbkdf2 = format!("$pbkdf2-{name}$i=1000,l=32$c2FsdHNhbHQ${tag}");
        check(&pbkdf2, kind, 1_000 * blocks);
    }
}
