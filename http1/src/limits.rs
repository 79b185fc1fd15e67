//! Every bound of this crate, with its reason.

use std::time::Duration;

/// Request line in bytes, without its CRLF. RFC 9112 section 3 recommends 8000 octets at least.
pub const REQUEST_LINE_BYTES_MAX: usize = 8 * 1024;

/// The longest method that is known, in bytes. A longer one is unknown whatever it is.
pub const METHOD_BYTES_MAX: usize = "OPTIONS".len();

/// Head in bytes (request line, headers and the empty line) unless [`crate::Shared::with_head_bytes_max`]
/// says otherwise. A server that proxies ask about every request gets the cookies of a whole domain; nginx
/// passes on 32 KiB by default (`large_client_header_buffers`).
pub const HEAD_BYTES_DEFAULT: usize = 32 * 1024;

/// The lowest bound that a server may set for heads. What the longest request line leaves of it is room for
/// the headers of browsers.
pub const HEAD_BYTES_MIN: usize = 16 * 1024;

/// The highest bound that a server may set for heads: a connection may hold so much input.
pub const HEAD_BYTES_MAX: usize = 64 * 1024;

/// Fields in one head. Their slots live on the stack, 32 bytes each.
pub const FIELDS_MAX: usize = 100;

/// Empty lines tolerated before a request line. RFC 9112 section 2.2 asks for one; some old
/// clients send one after a body, and a second is the margin.
pub const EMPTY_LINES_MAX: u8 = 2;

/// Empty lines that version 2 of the PROXY protocol begins with, so that servers of HTTP refuse it. They have
/// to be tolerated for it to be told by name.
pub(crate) const PROXY_V2_EMPTY_LINES: u8 = 2;

/// Body in bytes, after chunked coding is removed. A handler may ask for less. The largest
/// legitimate body is a few hundred bytes of JSON.
pub const BODY_BYTES_MAX: usize = 16 * 1024;

/// Body in bytes that is read and dropped after a refusal, so that the connection stays usable.
/// A longer one costs the peer its connection instead of costing the server the reading.
pub const DISCARD_BYTES_MAX: usize = BODY_BYTES_MAX;

/// One chunk-size line in bytes, with extensions, without its CRLF. Sixteen digits are the most
/// that a size can use; the rest is room for extensions, which are skipped.
pub const CHUNK_LINE_BYTES_MAX: usize = 256;

/// What the chunked coding of one body may add to its content, in bytes: size lines, extensions
/// and CRLFs, without the trailer section. A body of one-byte chunks is mostly that: this lets
/// through about 3,000 of them.
pub const CHUNK_OVERHEAD_BYTES_MAX: usize = 16 * 1024;

/// Trailer section of a chunked body in bytes. It is checked and dropped.
pub const TRAILER_BYTES_MAX: usize = 4 * 1024;

/// Time from the first byte of a head to its last. Absolute: a slow sender cannot extend it.
pub const HEAD_TIME_MAX: Duration = Duration::from_secs(10);

/// Time from the end of a head to the end of its body. Absolute as well.
pub const BODY_TIME_MAX: Duration = Duration::from_secs(10);

/// How long a connection may wait for its first or its next request, unless a server says otherwise
/// ([`crate::Shared::with_idle_time`]). An idle connection holds a slot and no buffer, so it is cheap. nginx and most cloud
/// balancers keep idle connections for 60 s. This side has to keep them longer: a request that a proxy sends at the moment
/// of the close is lost.
pub const IDLE_TIME_DEFAULT: Duration = Duration::from_secs(75);

/// Input kept for one connection: the longest piece that has to be seen at once is a whole head,
/// or a whole body with `Content-Length`.
pub const INPUT_BYTES_MAX: usize =
    if HEAD_BYTES_MAX > BODY_BYTES_MAX { HEAD_BYTES_MAX } else { BODY_BYTES_MAX };

const _: () = assert!(REQUEST_LINE_BYTES_MAX + 2 < HEAD_BYTES_MIN);
const _: () = assert!(PROXY_V2_EMPTY_LINES <= EMPTY_LINES_MAX);
const _: () = assert!(METHOD_BYTES_MAX < REQUEST_LINE_BYTES_MAX);
const _: () = assert!(HEAD_BYTES_MIN <= HEAD_BYTES_DEFAULT && HEAD_BYTES_DEFAULT <= HEAD_BYTES_MAX);
const _: () = assert!(CHUNK_LINE_BYTES_MAX < CHUNK_OVERHEAD_BYTES_MAX);
const _: () = assert!(CHUNK_LINE_BYTES_MAX > 16);
const _: () = assert!(DISCARD_BYTES_MAX >= BODY_BYTES_MAX);
const _: () = assert!(HEAD_TIME_MAX.as_millis() <= IDLE_TIME_DEFAULT.as_millis());
// The slots of all fields together have to be small against a thread's stack of 2 MiB.
const _: () = assert!(FIELDS_MAX * size_of::<httparse::Header<'_>>() <= 16 * 1024);

/// The longest [`RequestId`](crate::RequestId). Those of proxies are a UUID, 32 hexadecimal digits, or a little more.
pub const REQUEST_ID_BYTES_MAX: usize = 64;
