//! Every limit of the protocol, each with its reason. All are in bytes unless the name says other.
//!
//! A limit on a field binds both sides: an encoder refuses to write past it and a decoder refuses
//! to read past it. Raising one is a protocol change and needs a feature bit (`PROTOCOL.md`,
//! "Compatibility").

/// The longest frame, header included: an event loop's read buffer must hold one whole frame, and
/// a thousand connections that each send the longest one must not hurt (64 MiB).
pub const FRAME_BYTES_MAX: usize = 64 * 1024;

/// The smallest `frame_bytes_max` that a peer may announce. Every message except a reply with a
/// list fits into it (asserted below), so negotiation can never make login impossible.
pub const FRAME_BYTES_MAX_FLOOR: usize = 4 * 1024;

/// The shortest header of v2, and the whole of the one this release writes.
pub const HEADER_BYTES_MIN: usize = 24;

/// The longest header of v2: its length is one byte.
pub const HEADER_BYTES_MAX: usize = u8::MAX as usize;

/// First size of an [`Inbox`](crate::v2::Inbox): one page, and more than any reply without a list.
pub const INBOX_BYTES_FIRST: usize = 4 * 1024;

/// LEB128 carries 7 bits a byte: ceil(64 / 7).
pub const VARINT_BYTES_MAX: usize = 10;

/// The highest field number. Every number fits one bit of a `u128`, so duplicates are found without
/// memory, among fields that the reader does not know as well.
pub const FIELD_NUMBER_MAX: u8 = 127;

/// A username. The account rules are far tighter (32); this only bounds what is read.
pub const USERNAME_BYTES_MAX: usize = 1024;

/// A password: 256 code points of the longest UTF-8 form. The account rules are tighter.
pub const PASSWORD_BYTES_MAX: usize = 1024;

/// A display name.
pub const NAME_BYTES_MAX: usize = 1024;

/// A session token, text form.
pub const TOKEN_BYTES_MAX: usize = 256;

/// A known-device marker, text form: an id and a tag, as a token is, and shorter.
pub const DEVICE_BYTES_MAX: usize = 128;

/// A `User-Agent` as an account holder sees it in a list of sessions. The sender cuts it.
pub const USER_AGENT_BYTES_MAX: usize = 256;

/// Sessions in one list, in items: all that an account may have, in one frame (asserted below).
pub const SESSIONS_MAX: usize = 128;

/// The name and version of a program in HELLO.
pub const SOFTWARE_BYTES_MAX: usize = 64;

/// A stable code such as `username_taken`.
pub const CODE_BYTES_MAX: usize = 64;

/// The human text of a refusal.
pub const DETAIL_BYTES_MAX: usize = 512;

/// Why a server is not ready.
pub const REASON_BYTES_MAX: usize = 512;

/// The name of a product.
pub const PRODUCT_NAME_BYTES_MAX: usize = 256;

/// The description of a product.
pub const PRODUCT_DESCRIPTION_BYTES_MAX: usize = 2048;

/// An idempotency key: 128 bits, so that random ones do not collide.
pub const REQUEST_ID_BYTES: usize = 16;

/// What a user's own request is found again by. The ids of proxies are a UUID, 32 hexadecimal digits, or a little
/// more.
pub const HTTP_REQUEST_ID_BYTES_MAX: usize = 64;

/// An ISO 4217 alphabetic code.
pub const CURRENCY_BYTES: usize = 3;

/// The message of a v1 answer: a token or a sentence.
pub const V1_MESSAGE_BYTES_MAX: usize = 1024;

/// The longest v1 request.
pub const V1_REQUEST_BYTES_MAX: usize = 1 + 4 // command length, `AUTH`
    + 2 + USERNAME_BYTES_MAX
    + 2 + PASSWORD_BYTES_MAX
    + 2 + NAME_BYTES_MAX
    + 1; // age

/// The longest v1 answer.
pub const V1_RESPONSE_BYTES_MAX: usize = 2 // status
    + 2 + V1_MESSAGE_BYTES_MAX;

/// What surrounds a field's value at most: a two-byte key (numbers up to 127 and one bit) and a
/// three-byte length (up to 64 KiB).
const FIELD_OVERHEAD_MAX: usize = 2 + 3;

const REGISTER_BYTES_MAX: usize = HEADER_BYTES_MIN
    + FIELD_OVERHEAD_MAX + USERNAME_BYTES_MAX
    + FIELD_OVERHEAD_MAX + PASSWORD_BYTES_MAX
    + FIELD_OVERHEAD_MAX + NAME_BYTES_MAX
    + FIELD_OVERHEAD_MAX + 2 // age
    + FIELD_OVERHEAD_MAX + REQUEST_ID_BYTES
    + FIELD_OVERHEAD_MAX + 16 // client address
    + FIELD_OVERHEAD_MAX + USER_AGENT_BYTES_MAX
    + FIELD_OVERHEAD_MAX + HTTP_REQUEST_ID_BYTES_MAX;

const REFUSAL_BYTES_MAX: usize = HEADER_BYTES_MIN
    + FIELD_OVERHEAD_MAX + 2 // status
    + FIELD_OVERHEAD_MAX + CODE_BYTES_MAX
    + FIELD_OVERHEAD_MAX + DETAIL_BYTES_MAX
    + FIELD_OVERHEAD_MAX + 5; // retry_after_ms

const SESSION_BYTES_MAX: usize = 3 // length of the item
    + FIELD_OVERHEAD_MAX + VARINT_BYTES_MAX // id
    + FIELD_OVERHEAD_MAX + VARINT_BYTES_MAX // created_at_unix_ms
    + FIELD_OVERHEAD_MAX + VARINT_BYTES_MAX // last_seen_unix_ms
    + FIELD_OVERHEAD_MAX + VARINT_BYTES_MAX // expires_in_ms
    + FIELD_OVERHEAD_MAX + 16 // client address
    + FIELD_OVERHEAD_MAX + USER_AGENT_BYTES_MAX
    + FIELD_OVERHEAD_MAX + 1; // current

const SESSIONS_BYTES_MAX: usize = HEADER_BYTES_MIN
    + FIELD_OVERHEAD_MAX + 2 // status
    + FIELD_OVERHEAD_MAX + SESSIONS_MAX * SESSION_BYTES_MAX;

// The two longest messages without a list; the others are these with fields left out or shortened.
const _: () = assert!(REGISTER_BYTES_MAX <= FRAME_BYTES_MAX_FLOOR);
const _: () = assert!(REFUSAL_BYTES_MAX <= FRAME_BYTES_MAX_FLOOR);
const _: () = assert!(FRAME_BYTES_MAX_FLOOR <= FRAME_BYTES_MAX);
// A full list of sessions is always answered whole.
const _: () = assert!(SESSIONS_BYTES_MAX <= FRAME_BYTES_MAX);
// A frame length, and every length inside, fits a u32 and three varint bytes.
const _: () = assert!(FRAME_BYTES_MAX < 1 << 21);
const _: () = assert!(HEADER_BYTES_MIN <= HEADER_BYTES_MAX && HEADER_BYTES_MAX < FRAME_BYTES_MAX);
// Doubling from the first size reaches the last one exactly.
const _: () = assert!(FRAME_BYTES_MAX.is_multiple_of(INBOX_BYTES_FIRST));
const _: () = assert!((FRAME_BYTES_MAX / INBOX_BYTES_FIRST).is_power_of_two());
const _: () = assert!(INBOX_BYTES_FIRST > HEADER_BYTES_MAX);
// v1 lengths are u16.
const _: () = assert!(USERNAME_BYTES_MAX <= u16::MAX as usize);
const _: () = assert!(PASSWORD_BYTES_MAX <= u16::MAX as usize);
const _: () = assert!(NAME_BYTES_MAX <= u16::MAX as usize);
const _: () = assert!(V1_MESSAGE_BYTES_MAX <= u16::MAX as usize);
// A v1 answer can carry a token, and whatever text a v2 refusal carries.
const _: () = assert!(TOKEN_BYTES_MAX <= V1_MESSAGE_BYTES_MAX);
const _: () = assert!(DETAIL_BYTES_MAX <= V1_MESSAGE_BYTES_MAX);
// One read buffer serves both protocols.
const _: () = assert!(V1_REQUEST_BYTES_MAX <= FRAME_BYTES_MAX);
const _: () = assert!(V1_RESPONSE_BYTES_MAX <= FRAME_BYTES_MAX);
