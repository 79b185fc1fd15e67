//! Memory that is lent and comes back.

use std::panic::{AssertUnwindSafe, catch_unwind};

use argon2_simd::{Cost, Input, Isa, Kind, Memory, Version};

const COST: Cost = Cost { kind: Kind::Id, version: Version::V19, m_kib: 8, passes: 1, lanes: 1 };

fn hash(memory: &mut Memory) -> [u8; 32] {
    let mut tag = [0; 32];
    let input = Input { password: b"pencil", salt: b"of sixteen bytes", ..Input::default() };
    memory.hash(&COST, &input, &mut tag).expect("within its bounds");
    tag
}

/// Of any size, and with bytes that nobody writes to.
#[derive(Clone, Copy, PartialEq, Debug)]
#[repr(align(64))]
struct Odd(u8, [u16; 40]);

#[test]
fn it_is_what_was_asked_for_and_comes_back_wiped() {
    let Some(isa) = Isa::best() else { return };
    let mut memory = Memory::new(isa, 8).unwrap();
    let tag = hash(&mut memory);
    let value = Odd(7, [0x0909; 40]);
    // 63 of 128 bytes take 7 blocks and 7/8 of one.
    let sum = memory.lend(value, 63, |items| {
        assert_eq!(items, [value; 63]);
        items.fill(Odd(1, [2; 40]));
        items.iter().map(|item| u32::from(item.0)).sum::<u32>()
    });
    assert_eq!(sum, Some(63));
    assert!(memory.is_wiped());
    assert_eq!(hash(&mut memory), tag);
}

#[test]
fn no_more_is_lent_than_there_is() {
    let Some(isa) = Isa::best() else { return };
    let mut memory = Memory::new(isa, 8).unwrap();
    assert_eq!(memory.lend(0_u64, 1_024, |words| words.len()), Some(1_024));
    assert_eq!(memory.lend(0_u64, 0, |words| words.len()), Some(0));
    for more in [1_025, usize::MAX / 8 + 1, usize::MAX] {
        assert_eq!(memory.lend::<u64, ()>(0, more, |_| unreachable!("too many")), None);
    }
}

#[test]
fn a_panic_leaves_no_traces() {
    let Some(isa) = Isa::best() else { return };
    let mut memory = Memory::new(isa, 8).unwrap();
    let panics = || memory.lend::<u64, ()>(u64::MAX, 1_024, |_| panic!("in the middle of it"));
    assert!(catch_unwind(AssertUnwindSafe(panics)).is_err());
    assert!(memory.is_wiped());
}
