//! Every bound of this crate, with its reason. Relations between them are checked when the crate is
//! compiled.

use std::time::Duration;

use hashing::limits::{FOREIGN_SALT_LEN_MAX, FOREIGN_TAG_LEN_MAX};

/// Shortest username, in characters. Shorter ones are too few to go round.
pub const USERNAME_LEN_MIN: usize = 3;
/// Longest username, in characters, which are bytes: the convention is ASCII.
pub const USERNAME_LEN_MAX: usize = 32;

/// Lowest setting of the shortest password, in code points: NIST SP 800-63B-4, section 3.1.1.2,
/// lets no password be shorter, whatever else is asked for.
pub const PASSWORD_CHARS_MIN_FLOOR: usize = 8;
/// Default of the shortest password, in code points. The same section wants 15 where the password
/// is the only factor; that is one setting away.
pub const PASSWORD_CHARS_MIN_DEFAULT: usize = 8;
/// Lowest setting of the longest password, in code points: the same section wants at least 64 to be
/// permitted.
pub const PASSWORD_CHARS_MAX_FLOOR: usize = 64;
/// Default of the longest password, in code points.
pub const PASSWORD_CHARS_MAX_DEFAULT: usize = 128;
/// Highest setting of the longest password, in code points, and the longest that is hashed at login
/// whatever the setting: an old password may be longer than today's setting allows.
pub const PASSWORD_CHARS_CEILING: usize = 256;
/// Longest password as sent, in bytes of UTF-8. Checked before any work is done on the text.
pub const PASSWORD_INPUT_BYTES_MAX: usize = 4096;
/// Longest normalised password, in bytes of UTF-8.
pub const PASSWORD_NFC_BYTES_MAX: usize = PASSWORD_CHARS_CEILING * UTF8_LEN_MAX;

/// Fewest entries of the list of common passwords: what the house promises.
pub const COMMON_PASSWORDS_MIN: usize = 3_000;
/// Longest folded password that is compared, in bytes of UTF-8: every password of the ceiling's
/// length fits unless its characters expand, and then it is on no list.
pub const FOLDED_BYTES_MAX: usize = PASSWORD_NFC_BYTES_MAX;
/// Fewest letters of a word (a username, the name of the service) that are looked for in a password:
/// as many as the shortest username has.
pub const CONTEXT_LETTERS_MIN: usize = USERNAME_LEN_MIN;
/// Most names of the service that can be set.
pub const SERVICE_NAMES_MAX: usize = 16;

/// Longest line of a list of breached passwords: a digest, a count of any 64 bits, a line end.
pub const BREACHED_LINE_LEN_MAX: usize = 64;
/// Entries that a bucket of a file of breached passwords has on average at the most, before there are
/// more buckets: a lookup reads up to 2 KiB.
pub const BREACHED_BUCKET_ENTRIES_MEAN_MAX: u64 = 512;
/// Most entries of one bucket. Digests are spread evenly: with 512 on average, more than 700 are as
/// good as impossible, and the largest lists that are to be expected have 1,000.
pub const BREACHED_BUCKET_ENTRIES_MAX: usize = 4_096;
/// Most entries that begin with the same byte, which are sorted in memory together: 512 MiB. Enough
/// for 17 thousand million lines.
pub const BREACHED_PART_ENTRIES_MAX: u64 = 1 << 26;
/// Bytes that are read at a time when a file of breached passwords is checked.
pub const BREACHED_READ_BYTES: usize = 1 << 20;
/// Bytes that are written at a time to each of 256 temporary files: 16 MiB in all.
pub const BREACHED_WRITE_BYTES: usize = 64 << 10;

/// Longest UTF-8 form of a code point, in bytes (RFC 3629, section 3).
const UTF8_LEN_MAX: usize = 4;
/// Most code points that compose into one under NFC (Unicode Standard Annex 15, table of maximum
/// expansion factors: NFD grows a string of code points at most fourfold).
const CODE_POINTS_COMPOSED_MAX: usize = 4;

const _: () = assert!(PASSWORD_CHARS_MIN_FLOOR <= PASSWORD_CHARS_MIN_DEFAULT);
const _: () = assert!(PASSWORD_CHARS_MAX_FLOOR <= PASSWORD_CHARS_MAX_DEFAULT);
const _: () = assert!(PASSWORD_CHARS_MAX_DEFAULT <= PASSWORD_CHARS_CEILING);
// The byte bound never refuses a password that the bound in code points would have let through,
// however its characters were decomposed when they were sent.
const _: () = assert!(
    PASSWORD_INPUT_BYTES_MAX >= PASSWORD_CHARS_CEILING * CODE_POINTS_COMPOSED_MAX * UTF8_LEN_MAX
);

/// Longest text of a hash that another system made, in bytes. The longest that is understood has
/// about 200.
pub const FOREIGN_TEXT_LEN_MAX: usize = 512;

// Base64 of salt and tag, and a head that is shorter than both.
const _: () = assert!(FOREIGN_TEXT_LEN_MAX >= 3 * (FOREIGN_SALT_LEN_MAX + FOREIGN_TAG_LEN_MAX));

/// Length of every secret key, in bytes.
pub const KEY_LEN: usize = 32;
/// Length of the value that tells a key from another of the same id, in bytes: the width of its column.
pub const KEY_CHECK_LEN: usize = 16;
/// Most keys of one ring. A rotation needs two; the rest is room for one that was not finished.
pub const KEYS_PER_RING_MAX: usize = 64;
/// Most that is read of a key file, in bytes: more than 64 hexadecimal digits and a line end.
pub const KEY_FILE_LEN_MAX: usize = 128;

/// How long a command that prints keys may take. A vault over the network answers within a second or
/// two; whoever waits longer has no server at start.
pub const KEY_COMMAND_TIME_MAX: Duration = Duration::from_secs(10);
/// Most that such a command may print, in bytes.
pub const KEY_COMMAND_OUTPUT_MAX: usize = 8 * 1024;
/// Most words of such a command.
pub const KEY_COMMAND_WORDS_MAX: usize = 64;
/// Between two looks at whether such a command has ended, once it has closed its output.
pub const KEY_COMMAND_POLL: Duration = Duration::from_millis(5);

/// Longest printed password record, in bytes of ASCII: the width of the column it is stored in.
pub const RECORD_LEN_MAX: usize = 255;

/// Random bytes of a session token: 128 bits, so that guessing one is hopeless (OWASP asks for at
/// least 64 bits of entropy).
pub const TOKEN_RANDOM_LEN: usize = 16;
