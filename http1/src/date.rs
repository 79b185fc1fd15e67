//! The `Date` field (RFC 9110 section 6.6.1), formatted once a second.

use std::fmt;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use httpdate::HttpDate;

/// Length of the field line: `Date: `, an IMF-fixdate of always 29 bytes, CRLF.
const LINE_BYTES: usize = 6 + 29 + 2;

/// The field line, and the empty line that ends most heads after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DateLine([u8; LINE_BYTES + 2]);

impl DateLine {
    /// The field line, with its CRLF.
    pub(crate) fn line(&self) -> &[u8; LINE_BYTES] {
        self.0.first_chunk().expect("it is shorter")
    }

    /// The same as the last line of a head. In one piece, and of a length that the compiler knows, since nearly
    /// every answer copies it.
    pub(crate) fn and_end_of_head(&self) -> &[u8; LINE_BYTES + 2] {
        &self.0
    }
}

/// Tells the wall-clock time.
pub type WallClock = fn() -> SystemTime;

/// The current `Date` field line. One per event loop; asking costs a comparison, and once a
/// second a reading of the wall clock, so steps of that clock show within a second.
pub struct DateCache {
    wall_clock: WallClock,
    /// `None` while the wall clock is not to be believed.
    line: Option<DateLine>,
    /// When the wall clock's second ends; `None` before the first reading.
    stale_at: Option<Instant>,
}

impl DateCache {
    /// A cache that reads `wall_clock` when its line has become stale. Servers pass
    /// [`wall_clock`], tests a function with a fixed answer.
    #[must_use]
    pub fn new(wall_clock: WallClock) -> Self {
        Self { wall_clock, line: None, stale_at: None }
    }

    /// The field line for the time `now`; `None` when there is no sensible clock, since a server without one
    /// must not send `Date`.
    #[inline]
    pub(crate) fn line(&mut self, now: Instant) -> Option<&DateLine> {
        if self.stale_at.is_none_or(|stale_at| stale_at <= now) {
            self.renew(now);
        }
        self.line.as_ref()
    }

    #[cold]
    fn renew(&mut self, now: Instant) {
        let wall = (self.wall_clock)();
        self.line = format_line(wall);
        self.stale_at = Some(now + rest_of_second(wall));
    }
}

impl fmt::Debug for DateCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DateCache").field("stale_at", &self.stale_at).finish_non_exhaustive()
    }
}

/// The system's wall clock; the one place of this crate that reads it.
#[must_use]
pub fn wall_clock() -> SystemTime {
    #[expect(clippy::disallowed_methods, reason = "the one named place, see clippy.toml")]
    clock::wall()
}

fn rest_of_second(wall: SystemTime) -> Duration {
    let into = wall.duration_since(UNIX_EPOCH).map_or(0, |since| since.subsec_nanos());
    Duration::from_secs(1) - Duration::from_nanos(u64::from(into))
}

/// `None` before 1970 and after 9999, which the format cannot say.
fn format_line(wall: SystemTime) -> Option<DateLine> {
    let year_10000 = UNIX_EPOCH + Duration::from_secs(253_402_300_800);
    if !(UNIX_EPOCH..year_10000).contains(&wall) {
        return None;
    }
    let mut line = [0; LINE_BYTES + 2];
    let mut rest = &mut line[..];
    std::io::Write::write_fmt(&mut rest, format_args!("Date: {}\r\n\r\n", HttpDate::from(wall)))
        .expect("an IMF-fixdate always has 29 bytes");
    Some(DateLine(line))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 9110 section 5.6.7, three quarters into its second.
    fn example_clock() -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(784_111_777_750)
    }

    #[expect(clippy::disallowed_methods, reason = "a test needs some point in time to start from")]
    fn any_instant() -> Instant {
        clock::now()
    }

    #[test]
    fn the_line_is_an_imf_fixdate() {
        let mut dates = DateCache::new(example_clock);
        let line = dates.line(any_instant()).expect("there is a clock");
        assert_eq!(line.line(), b"Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n");
        assert_eq!(line.and_end_of_head(), b"Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n");
    }

    #[test]
    fn the_line_becomes_stale_when_the_second_of_the_wall_clock_ends() {
        let start = any_instant();
        let mut dates = DateCache::new(example_clock);
        dates.line(start);
        assert_eq!(dates.stale_at, Some(start + Duration::from_millis(250)));
        dates.line(start + Duration::from_millis(249));
        assert_eq!(dates.stale_at, Some(start + Duration::from_millis(250)), "not read again");
        dates.line(start + Duration::from_millis(250));
        assert_eq!(dates.stale_at, Some(start + Duration::from_millis(500)));
    }

    #[test]
    fn a_clock_outside_what_the_format_can_say_is_not_believed() {
        let check = |wall: SystemTime, expected: Option<&[u8]>| {
            let line = format_line(wall);
            assert_eq!(line.as_ref().map(|line| &line.line()[..]), expected);
        };
        let year_10000 = UNIX_EPOCH + Duration::from_secs(253_402_300_800);
        check(UNIX_EPOCH, Some(b"Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n"));
        check(UNIX_EPOCH - Duration::from_secs(1), None);
        check(
            year_10000 - Duration::from_secs(1),
            Some(b"Date: Fri, 31 Dec 9999 23:59:59 GMT\r\n"),
        );
        check(year_10000, None);

        let mut dates = DateCache::new(|| UNIX_EPOCH - Duration::from_secs(1));
        assert_eq!(dates.line(any_instant()), None);
    }
}
