//! The order in which blocks are computed: the same for each instruction set, and compiled for each.

use std::arch::x86_64::{_MM_HINT_T0, _MM_HINT_T1, _mm_prefetch};

use crate::block::Block;

/// How many blocks ahead the places are asked for that will be written.
const AHEAD: usize = 2;

/// Asks for a block to be brought to the nearest cache, to be read soon.
#[inline(always)]
pub(super) fn prefetch(block: &Block) {
    hint::<_MM_HINT_T0>(block);
}

/// Asks for the place of a block to come to be brought to the second cache: the nearest has enough to do with what is
/// read. The processor follows by itself who writes one line after the other, but only to the end of a small page, which
/// is four blocks.
#[inline(always)]
pub(super) fn prefetch_place(blocks: &[Block], at: usize) {
    // The last block instead of none: a branch costs 3% here.
    hint::<_MM_HINT_T1>(&blocks[(at + AHEAD).min(blocks.len() - 1)]);
}

#[inline(always)]
#[allow(unsafe_code, reason = "a hint to the processor")]
fn hint<const HINT: i32>(block: &Block) {
    for line in block.0.as_chunks::<8>().0 {
        // SAFETY: it reads nothing; SSE is part of x86-64.
        unsafe { _mm_prefetch::<HINT>(line.as_ptr().cast()) };
    }
}

/// `fill` and how a block is looked at as vectors, for a module that has
/// - `State`, a block in vectors, and `place(usize) -> usize`, where a word of RFC 9106 lies in it (the first word in the
///   first place),
/// - `step::<ADDED>(&mut [Block], before, reference, at, ahead)`, which mixes block `reference` into block `before`,
///   writes it to `at`, and calls `ahead` with the first word of it as soon as that is known.
///
/// `fill` computes `N` hashes of one cost, a block of each in turn. A block can only be begun when the one before it is
/// there and its reference has come from memory; what the processor finds to do meanwhile is the block of another hash.
macro_rules! fill {
    ($feature:literal) => {
        const _: () = assert!(
            size_of::<State>() == size_of::<Block>() && align_of::<State>() <= align_of::<Block>()
        );

        #[inline(always)]
        fn vectors(block: &Block) -> &State {
            #[allow(unsafe_code, reason = "the same bits with another type")]
            // SAFETY: size and alignment fit, which is asserted above, and any bits are valid for both.
            unsafe {
                &*std::ptr::from_ref(block).cast()
            }
        }

        #[inline(always)]
        fn vectors_mut(block: &mut Block) -> &mut State {
            #[allow(unsafe_code, reason = "the same bits with another type")]
            // SAFETY: as in `vectors`.
            unsafe {
                &mut *std::ptr::from_mut(block).cast()
            }
        }

        /// Computes all passes of the hashes in these memories.
        #[target_feature(enable = $feature)]
        pub(super) fn fill<const N: usize>(mut memories: [&mut [Block]; N], geometry: &Geometry) {
            for pass in 0..geometry.cost.passes {
                for slice in 0..SLICES {
                    for lane in 0..geometry.cost.lanes {
                        let (at, memories) = (Segment { pass, slice, lane }, &mut memories);
                        match (geometry.is_independent(at), geometry.is_added(at)) {
                            (false, false) => dependent::<false, N>(memories, geometry, at),
                            (false, true) => dependent::<true, N>(memories, geometry, at),
                            (true, false) => independent::<false, N>(memories, geometry, at),
                            (true, true) => independent::<true, N>(memories, geometry, at),
                        }
                    }
                }
            }
        }

        /// The block before the first of a segment.
        #[inline]
        fn before(geometry: &Geometry, at: Segment) -> usize {
            let first = geometry.base(at) + geometry.start(at);
            geometry.position(at.lane, first.checked_sub(1).unwrap_or(geometry.lane_len - 1))
        }

        /// A segment whose addresses are in the data: each block says which one is mixed in next.
        #[target_feature(enable = $feature)]
        fn dependent<const ADDED: bool, const N: usize>(
            memories: &mut [&mut [Block]; N],
            geometry: &Geometry,
            at: Segment,
        ) {
            let mut before = before(geometry, at);
            let start = geometry.start(at);
            let mut references = memories
                .each_ref()
                .map(|blocks| geometry.reference(at, start, blocks[before].0[place(0)]));
            let base = geometry.position(at.lane, geometry.base(at));
            for index in start..geometry.segment_len {
                let here = base + index as usize;
                // Of the last block the next one is in another segment, and this is a guess that nobody uses.
                let next = index + 1;
                for (blocks, reference) in memories.iter_mut().zip(&mut references) {
                    *reference = step::<ADDED>(blocks, before, *reference, here, |word| {
                        geometry.reference(at, next, word)
                    });
                }
                before = here;
            }
        }

        /// A segment whose addresses follow from its position (RFC 9106, section 3.4.1.2), so they are the same for all
        /// hashes of a cost.
        #[target_feature(enable = $feature)]
        fn independent<const ADDED: bool, const N: usize>(
            memories: &mut [&mut [Block]; N],
            geometry: &Geometry,
            at: Segment,
        ) {
            let mut before = before(geometry, at);
            let start = geometry.start(at);
            let base = geometry.position(at.lane, geometry.base(at));
            let mut words = [0; WORDS];
            for index in start..geometry.segment_len {
                let here = base + index as usize;
                let word = index as usize % WORDS;
                if word == 0 || index == start {
                    words = addresses(geometry, at, index as usize / WORDS + 1);
                }
                let reference = geometry.reference(at, index, words[word]);
                // The one after it is known already, unless it is of the next block of addresses.
                let ahead = geometry.reference(at, index + 1, words[(word + 1) % WORDS]);
                for blocks in &mut *memories {
                    step::<ADDED>(blocks, before, reference, here, |_| ahead);
                }
                before = here;
            }
        }

        /// Block `counter`, from 1, of the addresses of a segment.
        #[target_feature(enable = $feature)]
        fn addresses(geometry: &Geometry, at: Segment, counter: usize) -> [u64; WORDS] {
            let cost = &geometry.cost;
            let mut input = [0; WORDS];
            let numbers = [at.pass, at.lane, at.slice];
            for (word, number) in input.iter_mut().zip(numbers) {
                *word = u64::from(number);
            }
            input[3] = geometry.blocks() as u64;
            input[4] = u64::from(cost.passes);
            input[5] = u64::from(cost.kind.number());
            input[6] = counter as u64;
            // Twice the function of two blocks, of which one is zero. Nothing of it is secret.
            let mut blocks = [Block([0; WORDS]); 3];
            for (index, word) in input.iter().enumerate() {
                blocks[1].0[place(index)] = *word;
            }
            step::<false>(&mut blocks, 0, 1, 2, |_| 0);
            step::<false>(&mut blocks, 0, 2, 1, |_| 0);
            std::array::from_fn(|index| blocks[1].0[place(index)])
        }
    };
}

pub(super) use fill;
