//! Whether two samples of times can be told apart.

use std::time::Duration;

/// The standardised rank sum of `one` against `other` by the test of Mann and Whitney (1947), with the
/// usual correction for ties: about normal with variance 1 if nothing but chance sets the two samples
/// apart; negative when `one` is faster.
///
/// Ranks, so that a few times that a busy machine has made long do not count for more than others.
///
/// # Panics
///
/// When a sample has fewer than 8 times, for which the distribution is not near to normal.
#[must_use]
pub fn mann_whitney_z(one: &[Duration], other: &[Duration]) -> f64 {
    assert!(one.len() >= 8 && other.len() >= 8, "too few to be normal");
    let tagged =
        |times: &[Duration], is_one| times.iter().map(move |time| (*time, is_one)).collect();
    let mut all: Vec<(Duration, bool)> = tagged(one, true);
    all.extend::<Vec<_>>(tagged(other, false));
    all.sort_unstable();

    let (mut rank_sum, mut ties, mut below) = (0.0, 0.0, 0);
    for group in all.chunk_by(|a, b| a.0 == b.0) {
        let size = group.len() as f64;
        // Equal times share the mean of their ranks, which count from 1.
        let rank = f64::from(below) + f64::midpoint(size, 1.0);
        rank_sum += rank * group.iter().filter(|(_, is_one)| *is_one).count() as f64;
        ties += size.powi(3) - size;
        below += u32::try_from(group.len()).expect("a sample fits memory");
    }
    let (n1, n2) = (one.len() as f64, other.len() as f64);
    let n = n1 + n2;
    let u = rank_sum - n1 * (n1 + 1.0) / 2.0;
    let variance = n1 * n2 / 12.0 * ((n + 1.0) - ties / (n * (n - 1.0)));
    (u - n1 * n2 / 2.0) / variance.sqrt()
}

/// What a standard normal variable exceeds, either way, once in a thousand times.
pub const Z_ONE_IN_A_THOUSAND: f64 = 3.290_527;

#[cfg(test)]
mod tests {
    use super::*;

    /// Expected values are those of `scipy.stats.mannwhitneyu(one, other, use_continuity=False)`,
    /// whose p-value belongs to this z.
    fn check(one: &[u64], other: &[u64], expected: f64) {
        let times = |ms: &[u64]| ms.iter().copied().map(Duration::from_millis).collect::<Vec<_>>();
        let (one, other) = (times(one), times(other));
        let (z, reverse) = (mann_whitney_z(&one, &other), mann_whitney_z(&other, &one));
        assert!((z - expected).abs() < 1e-6, "{z} is not {expected}");
        assert!((z + reverse).abs() < 1e-9, "{z} and {reverse}");
    }

    #[test]
    fn known_answers() {
        check(&[1, 2, 3, 4, 5, 6, 7, 8], &[9, 10, 11, 12, 13, 14, 15, 16], -3.360672);
        check(&[1, 3, 5, 7, 9, 11, 13, 15, 17], &[2, 4, 6, 8, 10, 12, 14, 16], 0.000000);
        check(&[5, 5, 6, 7, 7, 7, 9, 12, 20, 31], &[4, 5, 7, 8, 8, 9, 12, 12, 40], -0.329502);
    }
}
