//! Numbers that look like chance and come again with the same seed: `SplitMix64` (Steele, Lea and Flood,
//! "Fast splittable pseudorandom number generators", 2014). Not for secrets.

use std::ops::RangeInclusive;

/// A sequence of numbers.
#[derive(Clone, Debug)]
pub struct Random {
    state: u64,
}

impl Random {
    /// The sequence of `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// A sequence of its own for the `number`th of several things that share a seed.
    #[must_use]
    pub fn of(seed: u64, number: u64) -> Self {
        let mut of_seed = Self::new(seed);
        Self::new(of_seed.number() ^ Self::new(number).number())
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// One of `range`; of small ranges each is as likely as another.
    ///
    /// # Panics
    ///
    /// When the range is empty.
    pub fn within(&mut self, range: RangeInclusive<u64>) -> u64 {
        let (first, last) = range.into_inner();
        let width = last.checked_sub(first).expect("the range is not empty");
        let drawn = self.number();
        first + width.checked_add(1).map_or(drawn, |count| drawn % count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_answers() {
        // The first numbers of seed 1234567, as the reference in C gives them
        // (https://rosettacode.org/wiki/Pseudo-random_numbers/Splitmix64).
        let mut random = Random::new(1_234_567);
        let expected = [
            6_457_827_717_110_365_317,
            3_203_168_211_198_807_973,
            9_817_491_932_198_370_423,
            4_593_380_528_125_082_431,
            16_408_922_859_458_223_821,
        ];
        assert_eq!(expected.map(|_| random.number()), expected);
    }

    #[test]
    fn a_range_is_kept_and_used_up() {
        let mut random = Random::new(1);
        let mut seen = [0; 3];
        for _ in 0..300 {
            seen[usize::try_from(random.within(5..=7)).unwrap() - 5] += 1;
        }
        assert!(seen.iter().all(|count| *count > 50), "{seen:?}");
        assert_eq!(random.within(9..=9), 9);
        let _ = random.within(0..=u64::MAX);
    }
}
