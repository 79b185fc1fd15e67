//! AVX-512: a block is 16 vectors of 8 words.
//!
//! A round of `BLAKE2b` is computed on each of the 8 rows of 16 words, then on each of the 8 columns of 8 pairs of words. A
//! vector has a quarter of two rows: `[4 x + p]` has words `4 x` to `4 x + 3` of row `2 p`, then of row `2 p + 1`. So
//! vectors `p`, `4 + p`, `8 + p`, `12 + p` are a, b, c, d of the rounds of two rows, and `4 x` to `4 x + 3` are a, b,
//! c, d of the rounds of two columns, one in lanes 0, 1, 4, 5 and the other in lanes 2, 3, 6, 7. Nothing has to be
//! moved between the two, and blocks lie in memory like this.

use std::arch::asm;
use std::arch::x86_64::{
    __m512i, _mm_cvtsi128_si64, _mm512_add_epi64, _mm512_castsi512_si128, _mm512_mul_epu32,
    _mm512_permutex_epi64, _mm512_permutexvar_epi64, _mm512_ror_epi64, _mm512_setr_epi64,
    _mm512_xor_si512,
};

use super::segment::{fill, prefetch, prefetch_place};
use crate::block::{Block, WORDS};
use crate::geometry::{Geometry, SLICES, Segment};

type State = [__m512i; 16];

fill!("avx512f");

/// Where word `index` of a block is.
pub(super) const fn place(index: usize) -> usize {
    let (row, column) = (index / 16, index % 16);
    (column / 4 * 4 + row / 2) * 8 + row % 2 * 4 + column % 4
}

#[inline]
#[target_feature(enable = "avx512f")]
fn first(vector: __m512i) -> u64 {
    _mm_cvtsi128_si64(_mm512_castsi512_si128(vector)).cast_unsigned()
}

/// Word plus word plus twice the product of their low halves (RFC 9106, section 3.6).
#[inline]
#[target_feature(enable = "avx512f")]
fn add(x: __m512i, y: __m512i) -> __m512i {
    let product = _mm512_mul_epu32(x, y);
    _mm512_add_epi64(_mm512_add_epi64(x, y), _mm512_add_epi64(product, product))
}

/// Has the compiler leave instructions in the order of the source: sixteen chains of dependent instructions that
/// alternate. It would put one chain after the other, since that takes fewer registers, and then the processor, which
/// looks some three hundred instructions ahead, finds little to do at the same time.
macro_rules! in_this_order {
    ($($vector:ident),*) => {
        #[allow(unsafe_code, reason = "no instruction at all")]
        // SAFETY: there is no instruction in it; the operands stay what they are.
        unsafe {
            asm!(
                concat!("/* ", $("{", stringify!($vector), "} ",)* "*/"),
                $($vector = inout(zmm_reg) $vector,)*
                options(pure, nomem, nostack, preserves_flags),
            );
        }
    };
}

/// Half of G on each of these sets of vectors, which alternate; each says how far its half rotates.
macro_rules! mix {
    ($($first:literal $second:literal [$a:ident, $b:ident, $c:ident, $d:ident]),*) => {
        $($a = add($a, $b);)*
        $($d = _mm512_ror_epi64::<$first>(_mm512_xor_si512($d, $a));)*
        in_this_order!($($a, $b, $c, $d),*);
        $($c = add($c, $d);)*
        $($b = _mm512_ror_epi64::<$second>(_mm512_xor_si512($b, $c));)*
        in_this_order!($($a, $b, $c, $d),*);
    };
}

/// Rotates four columns by one, two and three, so that a round goes on with its diagonals; or back.
macro_rules! turn {
    ($left:ident $across:ident $right:ident $([$a:ident, $b:ident, $c:ident, $d:ident]),*) => {
        $($b = $left($b);)*
        $($c = $across($c);)*
        $($d = $right($d);)*
    };
}

/// Rotations within lanes 0 to 3 and 4 to 7, for rows.
#[inline]
#[target_feature(enable = "avx512f")]
fn row_left(vector: __m512i) -> __m512i {
    _mm512_permutex_epi64::<0b00_11_10_01>(vector)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn row_across(vector: __m512i) -> __m512i {
    _mm512_permutex_epi64::<0b01_00_11_10>(vector)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn row_right(vector: __m512i) -> __m512i {
    _mm512_permutex_epi64::<0b10_01_00_11>(vector)
}

/// Rotations within lanes 0, 1, 4, 5 and within lanes 2, 3, 6, 7, for columns.
#[inline]
#[target_feature(enable = "avx512f")]
fn column_left(vector: __m512i) -> __m512i {
    _mm512_permutexvar_epi64(_mm512_setr_epi64(1, 4, 3, 6, 5, 0, 7, 2), vector)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn column_across(vector: __m512i) -> __m512i {
    _mm512_permutexvar_epi64(_mm512_setr_epi64(4, 5, 6, 7, 0, 1, 2, 3), vector)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn column_right(vector: __m512i) -> __m512i {
    _mm512_permutexvar_epi64(_mm512_setr_epi64(5, 0, 7, 2, 1, 4, 3, 6), vector)
}

/// One block. The columns that give the first word are half a G ahead of the others.
#[inline]
#[target_feature(enable = "avx512f")]
fn step<const ADDED: bool>(
    blocks: &mut [Block],
    before: usize,
    reference: usize,
    at: usize,
    ahead: impl FnOnce(u64) -> usize,
) -> usize {
    let mut sum = *vectors(&blocks[before]);
    for (sum, vector) in sum.iter_mut().zip(vectors(&blocks[reference])) {
        *sum = _mm512_xor_si512(*sum, *vector);
    }
    let feed = sum;
    let [
        mut a0,
        mut a1,
        mut a2,
        mut a3,
        mut b0,
        mut b1,
        mut b2,
        mut b3,
        mut c0,
        mut c1,
        mut c2,
        mut c3,
        mut d0,
        mut d1,
        mut d2,
        mut d3,
    ] = sum;
    let added = |sum: __m512i, index: usize, blocks: &[Block]| {
        let sum = _mm512_xor_si512(sum, feed[index]);
        if ADDED { _mm512_xor_si512(sum, vectors(&blocks[at])[index]) } else { sum }
    };

    // Rows.
    mix!(32 24 [a0, b0, c0, d0], 32 24 [a1, b1, c1, d1], 32 24 [a2, b2, c2, d2], 32 24 [a3, b3, c3, d3]);
    mix!(16 63 [a0, b0, c0, d0], 16 63 [a1, b1, c1, d1], 16 63 [a2, b2, c2, d2], 16 63 [a3, b3, c3, d3]);
    turn!(row_left row_across row_right
        [a0, b0, c0, d0], [a1, b1, c1, d1], [a2, b2, c2, d2], [a3, b3, c3, d3]);
    mix!(32 24 [a0, b0, c0, d0], 32 24 [a1, b1, c1, d1], 32 24 [a2, b2, c2, d2], 32 24 [a3, b3, c3, d3]);
    mix!(16 63 [a0, b0, c0, d0], 16 63 [a1, b1, c1, d1], 16 63 [a2, b2, c2, d2], 16 63 [a3, b3, c3, d3]);
    turn!(row_right row_across row_left
        [a0, b0, c0, d0], [a1, b1, c1, d1], [a2, b2, c2, d2], [a3, b3, c3, d3]);

    // Columns.
    mix!(32 24 [a0, a1, a2, a3], 32 24 [b0, b1, b2, b3]);
    mix!(16 63 [a0, a1, a2, a3], 16 63 [b0, b1, b2, b3], 32 24 [c0, c1, c2, c3], 32 24 [d0, d1, d2, d3]);
    turn!(column_left column_across column_right [a0, a1, a2, a3], [b0, b1, b2, b3]);
    mix!(32 24 [a0, a1, a2, a3], 32 24 [b0, b1, b2, b3], 16 63 [c0, c1, c2, c3], 16 63 [d0, d1, d2, d3]);
    turn!(column_left column_across column_right [c0, c1, c2, c3], [d0, d1, d2, d3]);
    mix!(16 63 [a0, a1, a2, a3], 16 63 [b0, b1, b2, b3], 32 24 [c0, c1, c2, c3], 32 24 [d0, d1, d2, d3]);
    turn!(column_right column_across column_left [a0, a1, a2, a3], [b0, b1, b2, b3]);
    let next = ahead(first(added(a0, 0, blocks)));
    prefetch(&blocks[next]);
    prefetch_place(blocks, at);
    mix!(16 63 [c0, c1, c2, c3], 16 63 [d0, d1, d2, d3]);
    turn!(column_right column_across column_left [c0, c1, c2, c3], [d0, d1, d2, d3]);

    sum = [a0, a1, a2, a3, b0, b1, b2, b3, c0, c1, c2, c3, d0, d1, d2, d3];
    for (index, sum) in sum.iter_mut().enumerate() {
        *sum = added(*sum, index, blocks);
    }
    *vectors_mut(&mut blocks[at]) = sum;
    next
}
