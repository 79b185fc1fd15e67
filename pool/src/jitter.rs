//! Chance for lifetimes, so that items made together do not end together.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A lock-free `SplitMix64` generator (Steele, Lea and Flood, "Fast Splittable Pseudorandom Number
/// Generators", OOPSLA 2014). Guessing it gains nothing, so it need not be a secure one.
pub(crate) struct Jitter {
    state: AtomicU64,
}

/// The odd constant closest to 2^64 divided by the golden ratio: successive states spread evenly.
const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

impl Jitter {
    /// Seeds from the standard library's hash keys, which the operating system's random source fills.
    pub(crate) fn new() -> Self {
        Self::seeded(RandomState::new().hash_one(GAMMA))
    }

    fn seeded(seed: u64) -> Self {
        Self { state: AtomicU64::new(seed) }
    }

    /// A duration drawn evenly from zero up to `most`.
    pub(crate) fn up_to(&self, most: Duration) -> Duration {
        // A double holds 53 bits of fraction, so that many are kept.
        let fraction = (self.draw() >> 11) as f64 / (1_u64 << 53) as f64;
        most.mul_f64(fraction)
    }

    fn draw(&self) -> u64 {
        let mut mixed = self.state.fetch_add(GAMMA, Ordering::Relaxed).wrapping_add(GAMMA);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// First outputs for seed 1234567, as published with the algorithm's reference code.
    #[test]
    fn draws_the_known_sequence() {
        let jitter = Jitter::seeded(1_234_567);
        let drawn = [(); 5].map(|()| jitter.draw());
        assert_eq!(
            drawn,
            [
                6_457_827_717_110_365_317,
                3_203_168_211_198_807_973,
                9_817_491_932_198_370_423,
                4_593_380_528_125_082_431,
                16_408_922_859_458_223_821,
            ]
        );
    }

    #[test]
    fn stays_in_range_and_spreads() {
        let jitter = Jitter::seeded(0);
        let most = Duration::from_secs(100);
        let drawn: Vec<_> = (0..1000).map(|_| jitter.up_to(most)).collect();
        assert!(drawn.iter().all(|&part| part <= most));
        for quarter in 0..4_u32 {
            let range = most / 4 * quarter..most / 4 * (quarter + 1);
            let hits = drawn.iter().filter(|part| range.contains(part)).count();
            assert!((200..300).contains(&hits), "quarter {quarter} was drawn {hits} times");
        }
        assert_eq!(jitter.up_to(Duration::ZERO), Duration::ZERO);
    }
}
