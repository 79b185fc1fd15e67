//! Known answers, and agreement with the crate `argon2` on anything.

use argon2_simd::{Cost, HashError, Input, Isa, Kind, Memory, Version};
use proptest::prelude::*;

fn isas() -> impl Iterator<Item = Isa> {
    [Isa::avx512(), Isa::avx2()].into_iter().flatten()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Hashes in fresh memory and in memory that is larger and has been used; alone, and together with another hash.
#[track_caller]
fn check(cost: &Cost, input: &Input<'_>, expected: &[u8]) {
    for isa in isas() {
        let mut used = Memory::new(isa, cost.m_kib + 3).expect("within its bounds");
        let other = Input { password: b"somebody else's", ..*input };
        let mut tag = vec![0; expected.len()];
        let wider = Cost { m_kib: cost.m_kib + 3, ..*cost };
        used.hash(&wider, &other, &mut tag).expect("within its bounds");
        assert!(!used.is_wiped());
        for mut memory in [Memory::new(isa, cost.m_kib).expect("within its bounds"), used] {
            memory.hash(cost, input, &mut tag).expect("within its bounds");
            assert_eq!(hex(&tag), hex(expected), "{isa:?} {cost:?}");
            memory.wipe();
            assert!(memory.is_wiped(), "{isa:?} {cost:?}");
            let mut beside = Memory::new(isa, cost.m_kib).expect("within its bounds");
            let (mut first, mut second) = (vec![0; expected.len()], vec![0; expected.len()]);
            for _ in 0..2 {
                let memories = [&mut memory, &mut beside];
                let tags = [first.as_mut_slice(), second.as_mut_slice()];
                Memory::hash_two(cost, memories, [input, &other], tags).expect("within its bounds");
                assert_eq!(hex(&first), hex(expected), "{isa:?} {cost:?}, with another");
            }
            beside.hash(cost, &other, &mut tag).expect("within its bounds");
            assert_eq!(hex(&second), hex(&tag), "{isa:?} {cost:?}, with another");
        }
    }
}

/// RFC 9106, section 5.
#[test]
fn rfc_9106() {
    let input = Input {
        password: &[0x01; 32],
        salt: &[0x02; 16],
        secret: &[0x03; 8],
        associated_data: &[0x04; 12],
    };
    for (kind, expected) in [
        (Kind::D, "512b391b6f1162975371d30919734294f868e3be3984f3c1a13a4db9fabe4acb"),
        (Kind::I, "c814d9d1dc7f37aa13f0d77f2494bda1c8de6b016dd388d29952a4c4672b6ce8"),
        (Kind::Id, "0d640df58d78766c08c037a34a8b53c9d01ef0452d75b65eb52520e96b01e659"),
    ] {
        let cost = Cost { kind, version: Version::V19, m_kib: 32, passes: 3, lanes: 4 };
        let expected: Vec<u8> = (0..32)
            .map(|at| u8::from_str_radix(&expected[2 * at..2 * at + 2], 16).unwrap())
            .collect();
        check(&cost, &input, &expected);
    }
}

fn reference(cost: &Cost, input: &Input<'_>, tag: &mut [u8]) {
    let algorithm = match cost.kind {
        Kind::D => argon2::Algorithm::Argon2d,
        Kind::I => argon2::Algorithm::Argon2i,
        Kind::Id => argon2::Algorithm::Argon2id,
    };
    let version = match cost.version {
        Version::V16 => argon2::Version::V0x10,
        Version::V19 => argon2::Version::V0x13,
    };
    let params = argon2::Params::new(cost.m_kib, cost.passes, cost.lanes, Some(tag.len()))
        .expect("within its bounds");
    argon2::Argon2::new(algorithm, version, params)
        .hash_password_into(input.password, input.salt, tag)
        .expect("within its bounds");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn agrees_with_the_reference(
        kind in prop_oneof![Just(Kind::D), Just(Kind::I), Just(Kind::Id)],
        version in prop_oneof![Just(Version::V16), Just(Version::V19)],
        lanes in 1_u32..=4,
        m_kib in 0_u32..2_000,
        passes in 1_u32..=4,
        tag_len in 4_usize..=200,
        password: Vec<u8>,
        salt in proptest::collection::vec(any::<u8>(), 8..40),
    ) {
        let cost = Cost { kind, version, m_kib: m_kib + 8 * lanes, passes, lanes };
        let input = Input { password: &password, salt: &salt, ..Input::default() };
        let mut tag = vec![0; tag_len];
        reference(&cost, &input, &mut tag);
        check(&cost, &input, &tag);
    }
}

#[test]
fn the_default_of_the_server() {
    let cost = Cost { kind: Kind::Id, version: Version::V19, m_kib: 19_456, passes: 2, lanes: 1 };
    let input = Input { password: b"correct horse", salt: b"0123456789abcdef", ..Input::default() };
    let mut tag = [0; 32];
    reference(&cost, &input, &mut tag);
    check(&cost, &input, &tag);
}

#[test]
fn what_cannot_be_hashed() {
    for isa in isas() {
        let mut memory = Memory::new(isa, 8).unwrap();
        let cost = Cost { kind: Kind::Id, version: Version::V19, m_kib: 8, passes: 1, lanes: 1 };
        let input = Input { salt: &[0; 8], ..Input::default() };
        let mut hash =
            |cost: &Cost, input: &Input<'_>, tag: &mut [u8]| memory.hash(cost, input, tag);
        assert_eq!(hash(&cost, &input, &mut [0; 4]), Ok(()));
        assert!(matches!(hash(&cost, &input, &mut [0; 3]), Err(HashError::Tag(_))));
        assert!(matches!(hash(&cost, &Input::default(), &mut [0; 4]), Err(HashError::Tag(_))));
        let larger = Cost { m_kib: 9, ..cost };
        let too_small = HashError::TooSmall { needed: 9, there: 8 };
        assert_eq!(hash(&larger, &input, &mut [0; 4]), Err(too_small));
        assert!(matches!(
            hash(&Cost { passes: 0, ..cost }, &input, &mut [0; 4]),
            Err(HashError::Cost(_))
        ));

        // Of two, either.
        let mut other = Memory::new(isa, 9).unwrap();
        let mut two = |cost: &Cost, swap: bool, inputs: [&Input<'_>; 2]| {
            let (memories, mut tags) = ([&mut memory, &mut other], [[0; 4]; 2]);
            let memories = if swap {
                {
                    let [a, b] = memories;
                    [b, a]
                }
            } else {
                memories
            };
            Memory::hash_two(cost, memories, inputs, tags.each_mut().map(|tag| &mut tag[..]))
        };
        assert_eq!(two(&cost, false, [&input, &input]), Ok(()));
        for swap in [false, true] {
            assert_eq!(two(&larger, swap, [&input, &input]), Err(too_small));
        }
        assert!(matches!(two(&cost, false, [&input, &Input::default()]), Err(HashError::Tag(_))));
        assert!(matches!(two(&cost, false, [&Input::default(), &input]), Err(HashError::Tag(_))));
    }
}

/// Where the kernel was asked for huge pages, most of a large mapping is on them, if it gives any at all.
#[test]
#[cfg(target_os = "linux")]
fn memory_is_on_huge_pages() {
    let gives = std::fs::read_to_string("/sys/kernel/mm/transparent_hugepage/enabled")
        .is_ok_and(|setting| !setting.contains("[never]"));
    let Some(isa) = Isa::best().filter(|_| gives) else { return };
    let huge_kib = || -> u64 {
        let smaps = std::fs::read_to_string("/proc/self/smaps_rollup").unwrap();
        let line = smaps.lines().find_map(|line| line.strip_prefix("AnonHugePages:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    };
    let before = huge_kib();
    let _memory = Memory::new(isa, 65_536).unwrap();
    assert!(huge_kib() >= before + 32_768, "{before} KiB before, {} KiB now", huge_kib());
}
