//! AVX2: a block is 32 vectors of 4 words, in the order of RFC 9106.
//!
//! A row is four vectors, a, b, c, d of its round. Vector `x` of each row has words of two columns: lanes 0, 1 are of
//! one, lanes 2, 3 of the other. So for columns a, b, c, d are two vectors each, and to rotate four columns by two is
//! to exchange them.

use std::arch::asm;
use std::arch::x86_64::{
    __m256i, _mm_cvtsi128_si64, _mm256_add_epi64, _mm256_alignr_epi8, _mm256_castsi256_si128,
    _mm256_mul_epu32, _mm256_or_si256, _mm256_permute4x64_epi64, _mm256_setr_epi8,
    _mm256_shuffle_epi8, _mm256_shuffle_epi32, _mm256_srli_epi64, _mm256_xor_si256,
};

use super::segment::{fill, prefetch, prefetch_place};
use crate::block::{Block, WORDS};
use crate::geometry::{Geometry, SLICES, Segment};

type State = [__m256i; 32];

fill!("avx2");

/// Where word `index` of a block is.
const fn place(index: usize) -> usize {
    index
}

#[inline]
#[target_feature(enable = "avx2")]
fn first(vector: __m256i) -> u64 {
    _mm_cvtsi128_si64(_mm256_castsi256_si128(vector)).cast_unsigned()
}

/// Word plus word plus twice the product of their low halves (RFC 9106, section 3.6).
#[inline]
#[target_feature(enable = "avx2")]
fn add(x: __m256i, y: __m256i) -> __m256i {
    let product = _mm256_mul_epu32(x, y);
    _mm256_add_epi64(_mm256_add_epi64(x, y), _mm256_add_epi64(product, product))
}

/// Rotations of words to the right. AVX2 has none; by whole bytes, they are shuffles.
#[inline]
#[target_feature(enable = "avx2")]
fn by_32(vector: __m256i) -> __m256i {
    _mm256_shuffle_epi32::<0b10_11_00_01>(vector)
}

#[inline]
#[target_feature(enable = "avx2")]
fn by_24(vector: __m256i) -> __m256i {
    let bytes = _mm256_setr_epi8(
        3, 4, 5, 6, 7, 0, 1, 2, 11, 12, 13, 14, 15, 8, 9, 10, 3, 4, 5, 6, 7, 0, 1, 2, 11, 12, 13,
        14, 15, 8, 9, 10,
    );
    _mm256_shuffle_epi8(vector, bytes)
}

#[inline]
#[target_feature(enable = "avx2")]
fn by_16(vector: __m256i) -> __m256i {
    let bytes = _mm256_setr_epi8(
        2, 3, 4, 5, 6, 7, 0, 1, 10, 11, 12, 13, 14, 15, 8, 9, 2, 3, 4, 5, 6, 7, 0, 1, 10, 11, 12,
        13, 14, 15, 8, 9,
    );
    _mm256_shuffle_epi8(vector, bytes)
}

#[inline]
#[target_feature(enable = "avx2")]
fn by_63(vector: __m256i) -> __m256i {
    _mm256_or_si256(_mm256_srli_epi64::<63>(vector), _mm256_add_epi64(vector, vector))
}

/// Has the compiler leave instructions in the order of the source, as in `avx512.rs`.
macro_rules! in_this_order {
    ($($vector:ident),*) => {
        #[allow(unsafe_code, reason = "no instruction at all")]
        // SAFETY: there is no instruction in it; the operands stay what they are.
        unsafe {
            asm!(
                concat!("/* ", $("{", stringify!($vector), "} ",)* "*/"),
                $($vector = inout(ymm_reg) $vector,)*
                options(pure, nomem, nostack, preserves_flags),
            );
        }
    };
}

/// G on two vectors of four columns each.
macro_rules! mix {
    ($first:ident, $second:ident; $([$a:ident, $b:ident, $c:ident, $d:ident]),*) => {
        $($a = add($a, $b);)*
        $($d = $first(_mm256_xor_si256($d, $a));)*
        in_this_order!($($a, $b, $c, $d),*);
        $($c = add($c, $d);)*
        $($b = $second(_mm256_xor_si256($b, $c));)*
        in_this_order!($($a, $b, $c, $d),*);
    };
}

/// The rounds of rows `$row` and `$row + 1`.
macro_rules! rows {
    ($state:ident, $row:literal) => {{
        let at = 4 * $row;
        let [mut a0, mut b0, mut c0, mut d0] = [$state[at], $state[at + 1], $state[at + 2], $state[at + 3]];
        let [mut a1, mut b1, mut c1, mut d1] = [$state[at + 4], $state[at + 5], $state[at + 6], $state[at + 7]];
        mix!(by_32, by_24; [a0, b0, c0, d0], [a1, b1, c1, d1]);
        mix!(by_16, by_63; [a0, b0, c0, d0], [a1, b1, c1, d1]);
        [b0, b1] = [left(b0), left(b1)];
        [c0, c1] = [across(c0), across(c1)];
        [d0, d1] = [right(d0), right(d1)];
        mix!(by_32, by_24; [a0, b0, c0, d0], [a1, b1, c1, d1]);
        mix!(by_16, by_63; [a0, b0, c0, d0], [a1, b1, c1, d1]);
        [b0, b1] = [right(b0), right(b1)];
        [c0, c1] = [across(c0), across(c1)];
        [d0, d1] = [left(d0), left(d1)];
        [$state[at], $state[at + 1], $state[at + 2], $state[at + 3]] = [a0, b0, c0, d0];
        [$state[at + 4], $state[at + 5], $state[at + 6], $state[at + 7]] = [a1, b1, c1, d1];
    }};
}

/// The rounds of the two columns that have words in vector `$x` of each row.
macro_rules! columns {
    ($state:ident, $x:literal) => {{
        let [mut a0, mut a1, mut b0, mut b1] = [$state[$x], $state[$x + 4], $state[$x + 8], $state[$x + 12]];
        let [mut c0, mut c1, mut d0, mut d1] = [$state[$x + 16], $state[$x + 20], $state[$x + 24], $state[$x + 28]];
        mix!(by_32, by_24; [a0, b0, c0, d0], [a1, b1, c1, d1]);
        mix!(by_16, by_63; [a0, b0, c0, d0], [a1, b1, c1, d1]);
        [b0, b1] = [behind(b0, b1), behind(b1, b0)];
        [c0, c1] = [c1, c0];
        [d0, d1] = [behind(d1, d0), behind(d0, d1)];
        mix!(by_32, by_24; [a0, b0, c0, d0], [a1, b1, c1, d1]);
        mix!(by_16, by_63; [a0, b0, c0, d0], [a1, b1, c1, d1]);
        [b0, b1] = [behind(b1, b0), behind(b0, b1)];
        [c0, c1] = [c1, c0];
        [d0, d1] = [behind(d0, d1), behind(d1, d0)];
        [$state[$x], $state[$x + 4], $state[$x + 8], $state[$x + 12]] = [a0, a1, b0, b1];
        [$state[$x + 16], $state[$x + 20], $state[$x + 24], $state[$x + 28]] = [c0, c1, d0, d1];
    }};
}

#[inline]
#[target_feature(enable = "avx2")]
fn left(vector: __m256i) -> __m256i {
    _mm256_permute4x64_epi64::<0b00_11_10_01>(vector)
}

#[inline]
#[target_feature(enable = "avx2")]
fn across(vector: __m256i) -> __m256i {
    _mm256_permute4x64_epi64::<0b01_00_11_10>(vector)
}

#[inline]
#[target_feature(enable = "avx2")]
fn right(vector: __m256i) -> __m256i {
    _mm256_permute4x64_epi64::<0b10_01_00_11>(vector)
}

/// Of each column, the second word of `low` and the first of `high`.
#[inline]
#[target_feature(enable = "avx2")]
fn behind(low: __m256i, high: __m256i) -> __m256i {
    _mm256_alignr_epi8::<8>(high, low)
}

/// One block. The columns that give the first word are computed before the others.
#[inline]
#[target_feature(enable = "avx2")]
fn step<const ADDED: bool>(
    blocks: &mut [Block],
    before: usize,
    reference: usize,
    at: usize,
    ahead: impl FnOnce(u64) -> usize,
) -> usize {
    let mut sum = *vectors(&blocks[before]);
    for (sum, vector) in sum.iter_mut().zip(vectors(&blocks[reference])) {
        *sum = _mm256_xor_si256(*sum, *vector);
    }
    // What is added at the end.
    let mut feed = sum;
    if ADDED {
        for (feed, vector) in feed.iter_mut().zip(vectors(&blocks[at])) {
            *feed = _mm256_xor_si256(*feed, *vector);
        }
    }
    rows!(sum, 0);
    rows!(sum, 2);
    rows!(sum, 4);
    rows!(sum, 6);
    columns!(sum, 0);
    let next = ahead(first(_mm256_xor_si256(sum[0], feed[0])));
    prefetch(&blocks[next]);
    prefetch_place(blocks, at);
    columns!(sum, 1);
    columns!(sum, 2);
    columns!(sum, 3);
    for (sum, feed) in sum.iter_mut().zip(&feed) {
        *sum = _mm256_xor_si256(*sum, *feed);
    }
    *vectors_mut(&mut blocks[at]) = sum;
    next
}
