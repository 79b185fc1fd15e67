//! Points in time as RFC 3339 has them, in UTC with milliseconds: `2026-11-24T15:13:08.042Z`.

use std::time::SystemTime;

use crate::accounts::unix_ms;

const MS_PER_DAY: u64 = 24 * 60 * 60 * 1000;

/// The text. A clock before 1970 counts as 1970; after 9999, years have more than four digits.
pub(super) fn rfc3339(at: SystemTime) -> String {
    let ms = unix_ms(at);
    let (year, month, day) = civil(ms / MS_PER_DAY);
    let ms = ms % MS_PER_DAY;
    let (seconds, ms) = (ms / 1000, ms % 1000);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z")
}

/// Year, month and day in the Gregorian calendar of a day counted from 1970-01-01.
///
/// Years begin in March here, so that a leap day is the last of its year and months before it have
/// the same lengths every year (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms",
/// `civil_from_days`).
fn civil(days: u64) -> (u64, u64, u64) {
    /// From 0000-03-01 to 1970-01-01.
    const DAYS_TO_1970: u64 = 719_468;
    /// Days of 400 years, after which the calendar repeats.
    const DAYS_PER_ERA: u64 = 146_097;
    let days = days + DAYS_TO_1970;
    let (era, day_of_era) = (days / DAYS_PER_ERA, days % DAYS_PER_ERA);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    #[test]
    fn known_times() {
        // Expected values: `date -u -d @SECONDS +%FT%TZ`.
        let check = |seconds: u64, ms: u64, expected: &str| {
            let at = UNIX_EPOCH + Duration::from_millis(seconds * 1000 + ms);
            assert_eq!(rfc3339(at), expected);
        };
        check(0, 0, "1970-01-01T00:00:00.000Z");
        check(951_782_399, 999, "2000-02-28T23:59:59.999Z");
        check(951_782_400, 0, "2000-02-29T00:00:00.000Z");
        check(951_868_800, 1, "2000-03-01T00:00:00.001Z");
        check(1_709_164_800, 10, "2024-02-29T00:00:00.010Z");
        check(1_735_689_599, 0, "2024-12-31T23:59:59.000Z");
        check(4_107_542_400, 0, "2100-03-01T00:00:00.000Z");
        check(253_402_300_799, 999, "9999-12-31T23:59:59.999Z");
    }

    #[test]
    fn every_day_of_a_thousand_years_follows_the_one_before() {
        let mut before = civil(0);
        for day in 1..366_000 {
            let (year, month, number) = civil(day);
            let expected = match before {
                (y, m, d) if (year, month) == (y, m) => (y, m, d + 1),
                (y, 12, 31) => (y + 1, 1, 1),
                (y, m, d) => {
                    let leap = y % 4 == 0 && (y % 100 != 0 || y % 400 == 0);
                    let last = [31, 28 + u64::from(leap), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
                    assert_eq!(d, last[usize::try_from(m).unwrap() - 1], "{y}-{m}");
                    (y, m + 1, 1)
                }
            };
            assert_eq!((year, month, number), expected);
            before = expected;
        }
    }
}
