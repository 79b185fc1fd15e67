//! Every bound of server time, with its reason.

use std::time::Duration;

/// How often the store is asked what time it is.
pub const TIME_ASK_INTERVAL: Duration = Duration::from_secs(10);

/// Time for asking it.
pub const TIME_ASK_TIME_MAX: Duration = Duration::from_secs(2);

/// An answer to that which took longer says little: it may be wrong by half of this.
pub const TIME_ROUND_TRIP_MAX: Duration = Duration::from_secs(2);

/// What a clock differs by from what was expected, to have jumped. Clocks that are set by NTP differ by less than a
/// second; no session is short enough to care for a minute.
pub const TIME_JUMP_MIN: Duration = Duration::from_secs(60);

/// How long a clock that has jumped has to keep its new time to be believed: so long has its operator to notice.
pub const TIME_BELIEVED_AFTER: Duration = Duration::from_secs(3600);

/// How often the log says that the clock has jumped.
pub const TIME_DOUBT_LINE_INTERVAL: Duration = Duration::from_secs(60);

/// How long everything that is over is kept at the least. Within it a clock that was not believed for long enough deletes
/// nothing that is not over.
pub const KEPT_AFTER_MIN: Duration = Duration::from_secs(3600);

// A reading that is as wrong as can be is still no jump.
const _: () = assert!(TIME_ROUND_TRIP_MAX.as_millis() < TIME_JUMP_MIN.as_millis());
const _: () = assert!(TIME_ASK_INTERVAL.as_millis() < TIME_DOUBT_LINE_INTERVAL.as_millis());
