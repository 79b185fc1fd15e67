//! A keyed hash of tokens: 128 bits, quickly.
//!
//! Vector multiply-shift (M. Dietzfelbinger, "Universal hashing and k-wise independent random variables via
//! integer arithmetic without primes", STACS 1996; M. Thorup, "High speed hashing for integers and strings",
//! arXiv:1504.06804), twice, with independent keys. The words of 64 bits of a text, with a byte at its end, are
//! `x[i]`; the key is `b` and `a[i]`, random numbers of 128 bits; half of a fingerprint is the upper half of
//! `b + Σ a[i]·x[i]` modulo 2^128. This family is strongly universal: the halves of two different texts are
//! independent and uniform, so that two texts have the same fingerprint with a probability of 2^-128, whoever
//! chose them, if he did not know the key.
//!
//! That is proved and rests on no cipher; but it holds only while nobody is shown a fingerprint, since a few of
//! them tell the key. Here they stay in the table of leases, and a client learns of them that a text has a
//! lease or has none. A few multiplications, none of which waits for another, take half the time of
//! SipHash-2-4, whose rounds wait for each other.

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
    /// `b` of both halves.
    start: Factors,
    /// `a` of both halves.
    words: [Factors; WORDS_MAX],
}

/// What a word is multiplied with, for either half.
type Factors = [u128; 2];

/// What follows a text in its last word, before zeros: it tells them from zeros of the text.
const END: u64 = 1;

const WORD_BYTES: usize = size_of::<u64>();
/// With the byte that ends a text.
const WORDS_MAX: usize = (TOKEN_BYTES_MAX + 1).div_ceil(WORD_BYTES);

impl Fingerprints {
    /// The random generator of the system has served at start already, so it does not fail here.
    pub(super) fn random() -> Self {
        Self { start: factors(), words: std::array::from_fn(|_| factors()) }
    }

    /// The fingerprint of a text; `None` if no token is so long.
    pub(super) fn of(&self, text: &[u8]) -> Option<Fingerprint> {
        if text.len() > TOKEN_BYTES_MAX {
            return None;
        }
        let (words, rest) = text.as_chunks();
        let words = words.iter().map(|&word| u64::from_le_bytes(word));
        let last = rest.iter().rev().fold(END, |word, &byte| word << 8 | u64::from(byte));
        let (factors, factors_of_last) = self.words.split_at(words.len());
        let mut sums = self.start;
        let mut add = |(factors, word): (&Factors, u64)| {
            for (sum, factor) in sums.iter_mut().zip(factors) {
                *sum = sum.wrapping_add(factor.wrapping_mul(u128::from(word)));
            }
        };
        factors.iter().zip(words).for_each(&mut add);
        add((&factors_of_last[0], last));
        let [low, high] = sums;
        Some(Fingerprint(high >> 64 << 64 | low >> 64))
    }
}

fn factors() -> Factors {
    let mut bytes = Zeroizing::new([[0; 16]; 2]);
    getrandom::fill(bytes.as_flattened_mut()).expect("the system's random generator works");
    bytes.map(u128::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    /// The definition, word by word.
    fn expected(key: &Fingerprints, text: &[u8]) -> u128 {
        let half = |half: usize| {
            let mut padded = [text, &[1]].concat();
            padded.resize(WORDS_MAX * WORD_BYTES, 0);
            let words = padded.chunks(8).map(|word| u64::from_le_bytes(word.try_into().unwrap()));
            let products = key.words.iter().zip(words).map(|(a, x)| a[half].wrapping_mul(x.into()));
            products.fold(key.start[half], u128::wrapping_add) >> 64
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
