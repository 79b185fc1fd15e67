//! Known answers, and the state that a hash leaves its arena in.

use argon2::{Algorithm, AssociatedData, ParamsBuilder, Version};
use subtle::ConstantTimeEq as _;
use wipe::Expose;

use super::*;
use crate::arena::{Arena, Memory};
use crate::tag::Salt;
use crate::testing::Text;

const SALT: Salt = Salt([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]);

fn arena(engine: HashEngine, m_kib: u32) -> Arena {
    Arena::new(engine, Params::in_record(m_kib, 1, 1).unwrap()).unwrap()
}

fn password(text: &str) -> Text {
    Text::of(text)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Hashes in an arena of just the size and in a larger one that has been used before.
#[track_caller]
fn check(text: &str, (m, t, p): (u32, u32, u32), expected: &str) {
    let params = Params::in_record(m, t, p).unwrap();
    for engine in HashEngine::ALL {
        let mut larger = arena(engine, m + 3);
        larger.hash(&password("somebody else's"), &SALT, params).unwrap();
        for mut arena in [arena(engine, m), larger] {
            let tag = arena.hash(&password(text), &SALT, params).unwrap();
            assert_eq!(hex(tag.expose()), expected, "{engine:?} {text:?} {params}");
            assert!(arena.is_wiped(), "{params}");
        }
        check_two(engine, text, params, expected);
    }
}

/// The same as the first and as the second of two.
#[track_caller]
fn check_two(engine: HashEngine, text: &str, params: Params, expected: &str) {
    let (mine, other) = (password(text), password("somebody else's"));
    let (mut one, mut beside) = (arena(engine, params.m_kib()), arena(engine, params.m_kib() + 3));
    let alone = one.hash(&other, &SALT, params).unwrap();
    let mut two = |inputs: [(&dyn Expose, &Salt); 2]| {
        let tags = Arena::hash_two([&mut one, &mut beside], inputs, params).unwrap();
        assert!(one.is_wiped() && beside.is_wiped(), "{engine:?} {params}");
        tags.map(|tag| hex(tag.expose()))
    };
    let expected = [expected, &hex(alone.expose())];
    assert_eq!(two([(&mine, &SALT), (&other, &SALT)]), expected, "{engine:?} {text:?} {params}");
    let [second, first] = two([(&other, &SALT), (&mine, &SALT)]);
    assert_eq!([first, second].each_ref(), expected.each_ref(), "{engine:?} {text:?} {params}");
}

#[test]
fn two_keep_the_traces_that_they_are_told_to_keep() {
    let params = Params::in_record(64, 1, 1).unwrap();
    let password = password("correct horse");
    for keeps in [[false, true], [true, false]] {
        let mut arenas = [arena(HashEngine::Simd, 64), arena(HashEngine::Simd, 64)];
        arenas.iter_mut().zip(keeps).for_each(|(arena, keeps)| arena.keep_traces(keeps));
        Arena::hash_two(arenas.each_mut(), [(&password, &SALT); 2], params).unwrap();
        let traces = arenas.each_ref().map(|arena| !arena.is_wiped());
        assert_eq!(traces, keeps.map(|keeps| keeps && Isa::best().is_some()));
    }
}

#[test]
fn two_need_room_each() {
    let password = password("correct horse");
    for engine in HashEngine::ALL {
        for (sizes, arena_kib) in [([64, 63], 63), ([63, 64], 63)] {
            let [mut one, mut other] = sizes.map(|kib| arena(engine, kib));
            let params = Params::in_record(64, 1, 1).unwrap();
            let done =
                Arena::hash_two([&mut one, &mut other], [(&password, &SALT); 2], params).map(drop);
            assert_eq!(done, Err(HashError::ArenaTooSmall { needed_kib: 64, arena_kib }));
        }
    }
}

/// Made by the reference implementation in C, through the package `argon2-cffi` 25.1.0:
/// `hash_secret_raw(text.encode(), bytes(range(16)), t, m, p, 32, Type.ID, version=19).hex()`.
#[test]
fn reference_implementation() {
    let staple = "correct horse battery staple";
    let tag = "818259b6310026a8e0dbac5d2e6927abcfdb07b32258fac4f61b18b80f929085";
    check(staple, (19_456, 2, 1), tag);
    let tag = "f1c6727e618b6204d873c6af6f66575aa15286bf766e496141d4bfb6994e97d9";
    check(staple, (7_168, 5, 1), tag);
    let tag = "f32e6b89bbbfad357ca231aa57848ce16d53f426ed657b368423bcc6966ac5b0";
    check("pässwörd ☕", (64, 3, 2), tag);
    // Memory that is no multiple of four blocks for each lane is rounded down while hashing, but
    // hashed as given.
    let tag = "702a4c9dc4149dd36d601739dbc460fe516b009d8c1b413d33c758e60a0ca539";
    check("a", (1_027, 2, 1), tag);
}

/// RFC 9106, section 5.3. It has a secret and associated data, which the engine's seam leaves out,
/// so this asks the crate behind the seam.
#[test]
fn rfc_9106() {
    let params = ParamsBuilder::new()
        .m_cost(32)
        .t_cost(3)
        .p_cost(4)
        .data(AssociatedData::new(&[0x04; 12]).unwrap())
        .build()
        .unwrap();
    let argon2 =
        Argon2::new_with_secret(&[0x03; 8], Algorithm::Argon2id, Version::V0x13, params).unwrap();
    let mut tag = [0; 32];
    let mut blocks = vec![Block::new(); 32];
    argon2
        .hash_password_into_with_memory(&[0x01; 32], &[0x02; 16], &mut tag, &mut blocks[..])
        .unwrap();
    let expected = "0d640df58d78766c08c037a34a8b53c9d01ef0452d75b65eb52520e96b01e659";
    assert_eq!(hex(&tag), expected);

    let params = argon2_rust::Params::builder()
        .memory(argon2_rust::params::Memory::kib(32))
        .passes(3)
        .lanes(4)
        .build()
        .unwrap();
    let (algorithm, version) = (argon2_rust::Algorithm::Argon2id, argon2_rust::Version::V0x13);
    argon2_rust::Argon2::new(algorithm, version, params)
        .hash_into_with_ad(&[0x01; 32], &[0x02; 16], &[0x03; 8], &[0x04; 12], &mut tag)
        .unwrap();
    assert_eq!(hex(&tag), expected);
}

/// Told to leave its traces, an arena leaves no others than those of the last hash of each size, and wipes all.
#[test]
fn traces_are_kept_for_the_next_hash_and_wiped_with_it() {
    let large = Params::in_record(64, 1, 1).unwrap();
    let small = Params::in_record(8, 1, 1).unwrap();
    let mut arena = arena(HashEngine::Simd, 64);
    arena.keep_traces(true);
    for params in [large, small] {
        let expected = Arena::new(HashEngine::Reference, params)
            .unwrap()
            .hash(&password("a"), &SALT, params)
            .unwrap();
        let tag = arena.hash(&password("a"), &SALT, params).unwrap();
        assert!(bool::from(tag.ct_eq(&expected)), "{params}");
        assert_eq!(arena.is_wiped(), matches!(arena.memory, Memory::Portable { .. }));
    }
    arena.wipe();
    assert!(arena.is_wiped());
}

#[test]
fn an_arena_that_is_too_small_is_left_alone() {
    for engine in HashEngine::ALL {
        let mut arena = arena(engine, 8);
        let params = Params::in_record(9, 1, 1).unwrap();
        let error = arena.hash(&password("x"), &SALT, params).unwrap_err();
        assert_eq!(error, HashError::ArenaTooSmall { needed_kib: 9, arena_kib: 8 });
    }
}

#[test]
fn tags_show_nothing_and_compare() {
    let tag = |byte| Tag::new(&[byte; 32]);
    assert_eq!(format!("{:?}", tag(0x41)), "Tag(***)");
    assert!(bool::from(tag(1).ct_eq(&tag(1))));
    assert!(!bool::from(tag(1).ct_eq(&tag(2))));
}
