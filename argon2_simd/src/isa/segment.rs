//! The order in which blocks are computed: the same for each instruction set, and compiled for each.

use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};

use crate::memory::Block;

/// Asks for a block to be brought to the cache.
#[inline(always)]
#[allow(unsafe_code, reason = "a hint to the processor")]
pub(super) fn prefetch(block: &Block) {
    for line in block.0.as_chunks::<8>().0 {
        // SAFETY: it reads nothing; SSE is part of x86-64.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast()) };
    }
}

/// `fill` and how a block is looked at as vectors, for a module that has
/// - `State`, a block in vectors, and `place(usize) -> usize`, where a word of RFC 9106 lies in it,
/// - `word(&State) -> u64`, its first word,
/// - `step::<ADDED>(&mut State, &mut [Block], reference, at, ahead)`, which mixes block `reference` into the state,
///   writes it to `at`, and calls `ahead` with the first word of it as soon as that is known.
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

        #[inline]
        #[target_feature(enable = $feature)]
        fn load(block: &Block) -> State {
            *vectors(block)
        }

        /// Computes all passes.
        #[target_feature(enable = $feature)]
        pub(super) fn fill(blocks: &mut [Block], geometry: &Geometry) {
            for pass in 0..geometry.cost.passes {
                for slice in 0..SLICES {
                    for lane in 0..geometry.cost.lanes {
                        let at = Segment { pass, slice, lane };
                        match (geometry.is_independent(at), geometry.is_added(at)) {
                            (false, false) => dependent::<false>(blocks, geometry, at),
                            (false, true) => dependent::<true>(blocks, geometry, at),
                            (true, false) => independent::<false>(blocks, geometry, at),
                            (true, true) => independent::<true>(blocks, geometry, at),
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
        fn dependent<const ADDED: bool>(blocks: &mut [Block], geometry: &Geometry, at: Segment) {
            let mut state = load(&blocks[before(geometry, at)]);
            let start = geometry.start(at);
            let mut reference = geometry.reference(at, start, word(&state));
            let base = geometry.position(at.lane, geometry.base(at));
            for index in start..geometry.segment_len {
                let place = base + index as usize;
                // Of the last block the next one is in another segment, and this is a guess that nobody uses.
                let next = index + 1;
                reference = step::<ADDED>(&mut state, blocks, reference, place, |word| {
                    geometry.reference(at, next, word)
                });
            }
        }

        /// A segment whose addresses follow from its position (RFC 9106, section 3.4.1.2).
        #[target_feature(enable = $feature)]
        fn independent<const ADDED: bool>(blocks: &mut [Block], geometry: &Geometry, at: Segment) {
            let mut state = load(&blocks[before(geometry, at)]);
            let start = geometry.start(at);
            let base = geometry.position(at.lane, geometry.base(at));
            let mut words = [0; WORDS];
            for index in start..geometry.segment_len {
                let place = base + index as usize;
                let here = index as usize % WORDS;
                if here == 0 || index == start {
                    words = addresses(geometry, at, index as usize / WORDS + 1);
                }
                let reference = geometry.reference(at, index, words[here]);
                // The one after it is known already, unless it is of the next block of addresses.
                let next = index + 1;
                let ahead = words[(here + 1) % WORDS];
                step::<ADDED>(&mut state, blocks, reference, place, |_| {
                    geometry.reference(at, next, ahead)
                });
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
            let mut blocks = [Block([0; WORDS]); 2];
            for (index, word) in input.iter().enumerate() {
                blocks[0].0[place(index)] = *word;
            }
            for _ in 0..2 {
                let mut state = load(&Block([0; WORDS]));
                step::<false>(&mut state, &mut blocks, 0, 1, |_| 0);
                blocks[0] = blocks[1];
            }
            std::array::from_fn(|index| blocks[0].0[place(index)])
        }
    };
}

pub(super) use fill;
