//! Texts of durations and byte sizes, both ways, and texts as errors show them.

use std::time::Duration;

use crate::limits::SHOWN_VALUE_CHARS_MAX;

/// Units of time, the longest first, in nanoseconds.
const TIME_UNITS: [(&str, u64); 6] = [
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
];

/// Units of size, the largest first, in bytes (IEC 80000-13 binary prefixes).
const SIZE_UNITS: [(&str, u64); 4] =
    [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

/// Reads a whole number and its unit, such as `250ms`. Units: `d h m s ms us`; the longest
/// duration is 2^64 - 1 nanoseconds, about 584 years.
pub(super) fn parse_duration(text: &str) -> Option<Duration> {
    parse_scaled(text, &TIME_UNITS).map(Duration::from_nanos)
}

/// Reads a whole number and its unit, such as `64KiB`; a number alone counts bytes.
pub(super) fn parse_bytes(text: &str) -> Option<u64> {
    let bare = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if bare { text.parse().ok() } else { parse_scaled(text, &SIZE_UNITS) }
}

/// Writes a duration in the longest unit that gives a whole number, such as `90s` or `2h`.
///
/// Parts below a microsecond are dropped.
#[must_use]
pub fn format_duration(duration: Duration) -> String {
    if duration.is_zero() {
        return "0ms".to_owned();
    }
    match u64::try_from(duration.as_nanos()) {
        Ok(nanoseconds) => format_scaled(nanoseconds, &TIME_UNITS),
        Err(_) => format!("{}s", duration.as_secs()),
    }
}

/// Writes a size in the largest unit that gives a whole number, such as `64KiB`.
#[must_use]
pub fn format_bytes(bytes: u64) -> String {
    if bytes == 0 { "0B".to_owned() } else { format_scaled(bytes, &SIZE_UNITS) }
}

fn parse_scaled(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let (digits, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit())?);
    let (_, scale) = units.iter().find(|(name, _)| *name == unit)?;
    digits.parse::<u64>().ok()?.checked_mul(*scale)
}

fn format_scaled(amount: u64, units: &[(&str, u64)]) -> String {
    let smallest = units[units.len() - 1];
    let (name, scale) =
        units.iter().copied().find(|(_, scale)| amount.is_multiple_of(*scale)).unwrap_or(smallest);
    format!("{}{name}", amount / scale)
}

/// A text as errors repeat it: in quotes, controls escaped, cut to a readable length.
pub(super) fn quoted(text: &str) -> String {
    match text.char_indices().nth(SHOWN_VALUE_CHARS_MAX) {
        None => format!("{text:?}"),
        Some((cut, _)) => format!("{:?}...", &text[..cut]),
    }
}

/// A text without quotes, cut to a readable length. Whoever prints it escapes it.
pub(super) fn shortened(text: &str) -> String {
    text.chars().take(SHOWN_VALUE_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations() {
        fn check(text: &str, expected: Option<Duration>) {
            assert_eq!(parse_duration(text), expected, "{text:?}");
        }
        check("250ms", Some(Duration::from_millis(250)));
        check("0s", Some(Duration::ZERO));
        check("30s", Some(Duration::from_secs(30)));
        check("5m", Some(Duration::from_secs(300)));
        check("12h", Some(Duration::from_secs(12 * 3600)));
        check("7d", Some(Duration::from_secs(7 * 86_400)));
        check("15us", Some(Duration::from_micros(15)));
        for refused in [
            "",
            "12",
            "s",
            "12 s",
            " 12s",
            "12s ",
            "-1s",
            "+1s",
            "1.5s",
            "1h30m",
            "12parsecs",
            "1S",
            "٣s",
        ] {
            check(refused, None);
        }
        check("18446744073709551616us", None);
        check("18446744073709551615h", None);
    }

    #[test]
    fn sizes() {
        fn check(text: &str, expected: Option<u64>) {
            assert_eq!(parse_bytes(text), expected, "{text:?}");
        }
        check("64KiB", Some(65_536));
        check("512B", Some(512));
        check("65536", Some(65_536));
        check("2GiB", Some(2 << 30));
        for refused in ["", "KiB", "64KB", "64kib", "64 KiB", "-1", "1.5MiB", "17179869184GiB"] {
            check(refused, None);
        }
    }

    #[test]
    fn the_longest_whole_unit_is_written() {
        fn check(duration: Duration, expected: &str) {
            assert_eq!(format_duration(duration), expected);
        }
        check(Duration::ZERO, "0ms");
        check(Duration::from_millis(250), "250ms");
        check(Duration::from_millis(1500), "1500ms");
        check(Duration::from_secs(90), "90s");
        check(Duration::from_secs(7200), "2h");
        check(Duration::from_nanos(1), "0us");
        check(Duration::MAX, "18446744073709551615s");
        assert_eq!(format_bytes(0), "0B");
        assert_eq!(format_bytes(65_536), "64KiB");
        assert_eq!(format_bytes(1000), "1000B");
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(microseconds in 0..u64::MAX / 1000, bytes: u64) {
            let duration = Duration::from_micros(microseconds);
            prop_assert_eq!(parse_duration(&format_duration(duration)), Some(duration));
            prop_assert_eq!(parse_bytes(&format_bytes(bytes)), Some(bytes));
        }

        #[test]
        fn no_text_panics(text: String) {
            let _ = (parse_duration(&text), parse_bytes(&text));
        }
    }
}
