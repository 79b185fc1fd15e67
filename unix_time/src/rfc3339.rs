//! Points in time as RFC 3339 has them, in UTC with milliseconds: `2026-11-24T15:13:08.042Z`.

const MS_PER_DAY: u64 = 24 * 60 * 60 * 1000;

/// The text of RFC 3339 for milliseconds since 1970, in UTC. After 9999, years have more than four digits.
///
/// ```
/// assert_eq!(unix_time::rfc3339(1_795_533_188_042), "2026-11-24T15:13:08.042Z");
/// ```
#[must_use]
pub fn rfc3339(unix_ms: u64) -> String {
    let (year, month, day) = civil(unix_ms / MS_PER_DAY);
    let ms = unix_ms % MS_PER_DAY;
    let (seconds, ms) = (ms / 1000, ms % 1000);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z")
}

/// Milliseconds since 1970 of such a text, or of a date alone, which is its first moment in UTC. Any
/// offset is taken, and any number of digits of a second, of which three count. `None` for what is no
/// time, or before 1970.
#[must_use]
pub fn parse_rfc3339(text: &str) -> Option<u64> {
    let (date, time) = match text.split_at_checked(10)? {
        (date, "") => (date, "T00:00:00Z"),
        parts => parts,
    };
    let [year, month, day] = numbers(date, [4, 2, 2], '-')?;
    let day = day_number(year, month, day)?;
    // RFC 3339 lets a space stand for the T, and small letters for both.
    let time = time.strip_prefix(['T', 't', ' '])?;
    let (time, offset_minutes) = match time.strip_suffix(['Z', 'z']) {
        Some(time) => (time, 0),
        None => {
            let at = time.rfind(['+', '-'])?;
            let [hours, minutes] = numbers(&time[at + 1..], [2, 2], ':')?;
            let minutes = (hours <= 23 && minutes <= 59).then_some(hours * 60 + minutes)?;
            let minutes = i64::try_from(minutes).ok()?;
            (&time[..at], if time[at..].starts_with('-') { -minutes } else { minutes })
        }
    };
    let (time, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let [hour, minute, second] = numbers(time, [2, 2, 2], ':')?;
    // A leap second counts as the second after it.
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let digits = fraction.bytes().all(|byte| byte.is_ascii_digit()) && !fraction.is_empty();
    let ms: u64 = if digits { format!("{fraction:0<3}")[..3].parse().ok()? } else { return None };
    let local = day * MS_PER_DAY + ((hour * 60 + minute) * 60 + second) * 1000 + ms;
    local.checked_add_signed(-offset_minutes * 60_000)
}

/// Numbers of exactly so many digits, with `between` between them.
fn numbers<const N: usize>(text: &str, digits: [usize; N], between: char) -> Option<[u64; N]> {
    let mut parts = text.split(between);
    let mut found = [0; N];
    for (number, digits) in found.iter_mut().zip(digits) {
        let part = parts.next()?;
        let plain = part.len() == digits && part.bytes().all(|byte| byte.is_ascii_digit());
        *number = if plain { part.parse().ok()? } else { return None };
    }
    parts.next().is_none().then_some(found)
}

/// The day counted from 1970-01-01, if there is such a day.
fn day_number(year: u64, month: u64, day: u64) -> Option<u64> {
    // Close to the day from below, and at most two days off: years have 365.2425 days, months 30.4.
    let estimate = (year.checked_sub(1970)? * 365_2425 / 10_000 + (month.max(1) - 1) * 30 + day)
        .saturating_sub(4);
    (estimate..estimate + 12).find(|number| civil(*number) == (year, month, day))
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
    use super::*;

    #[test]
    fn known_times() {
        // Expected values: `date -u -d @SECONDS +%FT%TZ`.
        let check = |seconds: u64, ms: u64, expected: &str| {
            assert_eq!(rfc3339(seconds * 1000 + ms), expected);
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
    fn what_is_read() {
        let check =
            |text: &str, expected: Option<u64>| assert_eq!(parse_rfc3339(text), expected, "{text}");
        check("1970-01-01", Some(0));
        check("2024-02-29", Some(1_709_164_800_000));
        check("2024-02-29T00:00:00.010Z", Some(1_709_164_800_010));
        check("2024-02-29t00:00:00.0109z", Some(1_709_164_800_010));
        check("2024-02-29 01:00:00.1+01:00", Some(1_709_164_800_100));
        check("2024-02-28T18:30:00-05:30", Some(1_709_164_800_000));
        check("9999-12-31T23:59:59.999Z", Some(253_402_300_799_999));
        check("2016-12-31T23:59:60Z", Some(1_483_228_800_000));
        for text in [
            "",
            "now",
            "1709164800",
            "2024",
            "2024-2-29",
            "2023-02-29",
            "2024-13-01",
            "2024-00-01",
            "2024-01-00",
            "2024-01-32",
            "1969-12-31",
            "1970-01-01T00:00:00+00:01",
            "2024-02-29T24:00:00Z",
            "2024-02-29T00:60:00Z",
            "2024-02-29T00:00:61Z",
            "2024-02-29T00:00:00",
            "2024-02-29T00:00Z",
            "2024-02-29T00:00:00.Z",
            "2024-02-29T00:00:00+1:00",
            "2024-02-29T00:00:00+24:00",
            "2024-02-29X00:00:00Z",
            "2024-02-29T00:00:00.1e3Z",
            "2024-02-2é",
            "é024-02-29",
            "+024-02-29",
        ] {
            check(text, None);
        }
    }

    #[test]
    fn every_day_is_read_as_it_is_printed() {
        for day in 0..366_000 {
            let (year, month, number) = civil(day);
            let ms = day * MS_PER_DAY;
            let text = format!("{year:04}-{month:02}-{number:02}");
            assert_eq!(parse_rfc3339(&text), Some(ms));
        }
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
