//! A keyed hash of tokens: 128 bits, quickly.
//!
//! In two steps, each of which is proved and rests on no cipher:
//!
//! 1. NH (J. Black, S. Halevi, H. Krawczyk, T. Krovetz, P. Rogaway, "UMAC: fast and secure message
//!    authentication", CRYPTO '99) makes 128 bits of words of 64 bits: `Σ (k[i] + x[i])·(k[i+1] + x[i+1])` over
//!    the even `i`, where sums of two words are modulo 2^64 and that of the products modulo 2^128. Two different
//!    texts of one length have the same sum with a probability of 2^-64, and with one of 2^-128 if there is a
//!    second sum whose key is the same one moved by a pair (the same paper, Toeplitz construction).
//! 2. Vector multiply-shift (M. Dietzfelbinger, "Universal hashing and k-wise independent random variables via
//!    integer arithmetic without primes", STACS 1996; M. Thorup, "High speed hashing for integers and strings",
//!    arXiv:1504.06804) makes half a fingerprint of each sum: the upper 64 bits of `b + Σ a[i]·x[i]` modulo
//!    2^128, where `x` is both halves of the sum and the length of the text, and `b` and `a[i]` are random
//!    numbers of 128 bits. It is strongly universal: what differs in `x` has the same half with a probability
//!    of 2^-64.
//!
//! So two different texts have the same fingerprint with a probability of 2^-126 (four ways in which each half
//! may have become the same), whoever chose them, if he did not know the key. That holds only while nobody is
//! shown a fingerprint, since a few of them tell the key. Here they stay in the table of leases, and a client
//! learns of them that a text has a lease or has none. The second step alone, over the words of the text, would
//! do, with twice the multiplications.

use std::hash::{Hash, Hasher};

use zeroize::Zeroizing;

use crate::limits::TOKEN_BYTES_MAX;

/// What an entry is found under.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Fingerprint(u128);

impl Hash for Fingerprint {
    /// A table needs no more than half of it to find a place.
    fn hash<S: Hasher>(&self, state: &mut S) {
        state.write_u64((self.0 >> 64) as u64);
    }
}

/// Makes fingerprints, with a key of its own.
pub(super) struct Fingerprints {
    /// `k`, pair by pair; the second sum begins with the second pair.
    pairs: [[u64; 2]; PIECES_MAX + 1],
    /// The second step, for either sum.
    halves: [Half; 2],
}

/// The key of the second step.
struct Half {
    start: u128,
    low: u128,
    high: u128,
    length: u128,
}

/// What a pair of the key is for.
type Piece = [u8; PIECE_BYTES];

const PIECE_BYTES: usize = size_of::<[u64; 2]>();
/// All whole ones, and the last bytes once more: so nothing has to be filled up.
const PIECES_MAX: usize = TOKEN_BYTES_MAX / PIECE_BYTES + 1;

impl Fingerprints {
    /// The random generator of the system has served at start already, so it does not fail here.
    pub(super) fn random() -> Self {
        Self {
            pairs: std::array::from_fn(|_| random_bytes().map(u64::from_le_bytes)),
            halves: std::array::from_fn(|_| {
                let [start, low, high, length] = random_bytes().map(u128::from_le_bytes);
                Half { start, low, high, length }
            }),
        }
    }

    /// The fingerprint of a text; `None` if no token is so long.
    pub(super) fn of(&self, text: &[u8]) -> Option<Fingerprint> {
        if text.len() > TOKEN_BYTES_MAX {
            return None;
        }
        let mut sums = [0; 2];
        let (pieces, rest) = text.as_chunks();
        for (piece, pairs) in pieces.iter().zip(self.pairs.windows(2)) {
            add(&mut sums, piece, pairs);
        }
        let pairs_of_last = &self.pairs[pieces.len()..];
        match text.last_chunk() {
            Some(last) => add(&mut sums, last, pairs_of_last),
            // None of ours is so short.
            None => {
                let mut last = [0; PIECE_BYTES];
                last[..rest.len()].copy_from_slice(rest);
                add(&mut sums, &last, pairs_of_last);
            }
        }
        let [low, high] = [0, 1].map(|half| self.halves[half].of(sums[half], text.len()));
        Some(Fingerprint(u128::from(high) << 64 | u128::from(low)))
    }
}

/// Adds the product of a piece to both sums.
fn add(sums: &mut [u128; 2], piece: &Piece, pairs: &[[u64; 2]]) {
    let (words, _) = piece.as_chunks();
    let [first, second] = [words[0], words[1]].map(u64::from_le_bytes);
    for (sum, pair) in sums.iter_mut().zip(pairs) {
        let product =
            u128::from(pair[0].wrapping_add(first)) * u128::from(pair[1].wrapping_add(second));
        *sum = sum.wrapping_add(product);
    }
}

impl Half {
    fn of(&self, sum: u128, length: usize) -> u64 {
        let products = [
            self.low.wrapping_mul(sum & u128::from(u64::MAX)),
            self.high.wrapping_mul(sum >> 64),
            self.length.wrapping_mul(length as u128),
        ];
        (products.into_iter().fold(self.start, u128::wrapping_add) >> 64) as u64
    }
}

fn random_bytes<const BYTES: usize, const PARTS: usize>() -> [[u8; BYTES]; PARTS] {
    let mut bytes = Zeroizing::new([[0; BYTES]; PARTS]);
    getrandom::fill(bytes.as_flattened_mut()).expect("the system's random generator works");
    *bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    /// The definition, word by word.
    fn expected(key: &Fingerprints, text: &[u8]) -> u128 {
        let mut padded = text.to_vec();
        match text.last_chunk::<PIECE_BYTES>() {
            Some(last) => {
                padded.truncate(text.len() / PIECE_BYTES * PIECE_BYTES);
                padded.extend_from_slice(last);
            }
            None => padded.resize(PIECE_BYTES, 0),
        }
        let words: Vec<u64> =
            padded.chunks(8).map(|word| u64::from_le_bytes(word.try_into().unwrap())).collect();
        let keys = key.pairs.as_flattened();
        let half = |half: usize| {
            let sum = (0..words.len()).step_by(2).fold(0_u128, |sum, i| {
                let factor = |i: usize| u128::from(words[i].wrapping_add(keys[2 * half + i]));
                sum.wrapping_add(factor(i) * factor(i + 1))
            });
            let Half { start, low, high, length } = &key.halves[half];
            let shifted = start
                .wrapping_add(low.wrapping_mul(sum % (1 << 64)))
                .wrapping_add(high.wrapping_mul(sum / (1 << 64)))
                .wrapping_add(length.wrapping_mul(text.len() as u128));
            shifted >> 64
        };
        half(1) << 64 | half(0)
    }

    #[test]
    fn every_length_is_hashed_as_defined() {
        let key = Fingerprints::random();
        let bytes = (0..=u8::MAX).map(|number| number.wrapping_mul(37).wrapping_add(255));
        let text: Vec<u8> = bytes.take(TOKEN_BYTES_MAX).collect();
        for length in 0..=TOKEN_BYTES_MAX {
            let text = &text[..length];
            assert_eq!(key.of(text).map(|it| it.0), Some(expected(&key, text)), "{length}");
        }
    }

    #[test]
    fn what_is_longer_than_a_token_has_none() {
        assert!(Fingerprints::random().of(&[b'a'; TOKEN_BYTES_MAX + 1]).is_none());
    }

    #[test]
    fn texts_that_differ_in_a_bit_or_in_zeros_differ() {
        let key = Fingerprints::random();
        let mut seen = HashSet::new();
        let mut check = |text: &[u8]| assert!(seen.insert(key.of(text).unwrap().0), "{text:?}");
        for length in 0..=TOKEN_BYTES_MAX {
            check(&vec![0; length]);
        }
        for bit in 0..TOKEN_BYTES_MAX * 8 {
            let mut text = vec![0; TOKEN_BYTES_MAX];
            text[bit / 8] ^= 1 << (bit % 8);
            check(&text);
        }
    }

    #[test]
    fn keys_differ() {
        let text = b"text";
        assert!(Fingerprints::random().of(text) != Fingerprints::random().of(text));
    }

    #[test]
    fn either_half_has_a_key_of_its_own() {
        let Fingerprint(both) = Fingerprints::random().of(b"text").unwrap();
        assert_ne!(both >> 64, both & u128::from(u64::MAX));
    }
}
