//! Every bound of this server that is not a setting, with its reason. Bounds of HTTP itself are in
//! [`http1::limits`], those of the frames in [`framing::limits`].

use std::time::Duration;

/// Bytes of memory of this process that an idle connection may take. 100,000 of them are then less than
/// 30 MB; the kernel's part of a socket is many times as much.
pub const IDLE_CONNECTION_BYTES_MAX: usize = 300;

/// Most memory for buffers that is used unless more is set. An ordinary request holds 4 KiB for a moment, so this serves
/// 65,536 of them at a time.
pub const BUFFER_MEMORY_AUTO: u64 = 256 << 20;

/// The divisor that gives the part of the machine's memory that is used unless another is set.
pub const BUFFER_MEMORY_SHARE: u64 = 8;

/// Least memory for buffers: two thousand requests at a time.
pub const BUFFER_MEMORY_MIN: u64 = 8 << 20;

/// Least memory for the buffers of one event loop: four times what one client can hold that asks for much at once.
pub const BUFFER_MEMORY_PER_LOOP_MIN: u64 = 1 << 20;

/// Most that can be set; a larger number is a mistake.
pub const BUFFER_MEMORY_MAX: u64 = 1 << 40;

/// Memory of everything that is neither a buffer, a lease nor an idle connection: the program, its threads, queues and
/// metrics. Measured at 8 to 12 MB after a start.
pub const MEMORY_HEADROOM: u64 = 24 << 20;

/// Memory of the leases of one loop at the most; see [`LEASES_MAX`].
pub const LEASES_BYTES_MAX: u64 = 200 * LEASES_MAX as u64;

/// File descriptors that the process has for itself: its standard streams, those that signals come through, and files
/// of `/proc` while metrics are read; the rest is for what libraries open.
pub const OWN_DESCRIPTORS: usize = 12;

/// File descriptors of an event loop: its listener, its epoll instance, and what wakes it.
pub const DESCRIPTORS_PER_LOOP: usize = 3;

/// File descriptors for nothing in particular, so that a sum that is short by a few does no harm.
pub const DESCRIPTORS_RESERVE: usize = 6;

/// Most connections that can be set.
pub const CONNECTIONS_MAX: usize = 1_000_000;

/// Bounds of the idle time that can be set. Below a second, a client that asks again at once would find the
/// connection closed; an hour is longer than any proxy keeps one.
pub const IDLE_TIMEOUT_MIN: Duration = Duration::from_secs(1);
/// See [`IDLE_TIMEOUT_MIN`].
pub const IDLE_TIMEOUT_MAX: Duration = Duration::from_secs(3600);

/// Longest token that is looked at. One of ours is shorter; the rest is room for later key formats.
pub const TOKEN_BYTES_MAX: usize = 96;

/// Longest known-device marker that is looked at: whatever a frame carries.
pub const DEVICE_BYTES_MAX: usize = framing::limits::DEVICE_BYTES_MAX;

/// For how long a browser keeps a known-device marker, in seconds: a year. Each login renews it.
pub const DEVICE_COOKIE_SECONDS: u64 = 365 * 24 * 3600;

/// Longest `User-Agent` that is passed on; the rest is cut off. It is only ever shown to the user
/// who owns the session.
pub const USER_AGENT_BYTES_MAX: usize = 256;

/// How often, by the monotonic clock, it is asked whether the machine has slept, when leases are used. To wake up takes a
/// machine longer than that, so no request that it gets afterwards is answered from a lease of before.
pub const SLEEP_CHECK_INTERVAL: Duration = Duration::from_millis(1);

/// Leases that one loop remembers; beyond it, session checks go to auth_back. With the name, each
/// takes about 200 bytes, so this is 12 MiB a loop at most. It is what a hash table of 65,536 slots
/// holds at its highest load of 7/8; one more, and the table would double.
pub const LEASES_MAX: usize = 56 * 1024;

/// How long after its end a lease may still be in memory: long enough that a busy loop sweeps some
/// twenty times a second and not for each one.
pub const LEASE_SWEEP_DELAY: Duration = Duration::from_millis(50);

/// Bytes of a digest in an entity tag.
pub const ENTITY_TAG_BYTES: usize = 16;

/// How long the one request that fetches a stale list of products is waited for, before another is
/// sent to fetch it.
pub const CATALOG_FETCH_TIME: Duration = Duration::from_millis(500);

/// How long past its time a list may still be shown while it is being fetched. Prices may be out of
/// date for so long when auth_back is away.
pub const CATALOG_STALE_MAX: Duration = Duration::from_secs(5);

/// Auth servers in the list. Each has a pool of its own.
pub const AUTH_SERVERS_MAX: usize = 64;

/// Networks of trusted proxies. Each is compared with once for every request of a proxy.
pub const TRUSTED_PROXIES_MAX: usize = 64;

/// Proxies that a request may have come through: no deployment has more than a handful, and each is compared
/// with every trusted network.
pub const FORWARDED_HOPS_MAX: usize = 64;

/// How often the log says that users cannot be told apart because of how a proxy is set up. Such a fault lasts
/// until somebody mends it.
pub const PROXY_NOTICE_INTERVAL: Duration = Duration::from_secs(60);

/// Time to connect to an auth server and to exchange HELLO. In a data centre both take less than a
/// millisecond; a server that needs longer is taken for dead, so that a request has time left to
/// be served by another.
pub const CONNECT_TIME_MAX: Duration = Duration::from_millis(500);

/// How long an auth server that failed is passed over before one request tries it again.
pub const RETRY_AFTER_FAILURE: Duration = Duration::from_millis(500);

/// A request that finds out whether a failed server is well again keeps others from trying for this
/// long at the most. Longer than the default request timeout, so that a server that hangs holds one
/// worker, not all of them.
pub const TRIAL_TIME_MAX: Duration = Duration::from_secs(5);

/// A server that says nothing for this long while requests run into their deadlines is taken for
/// hung. Requests that came with less time left than this prove nothing.
pub const SILENCE_MIN: Duration = Duration::from_millis(500);

/// How often a blocking read looks at the deadlines of the requests it waits for. A fixed receive
/// timeout on the socket saves setting one for each request.
pub const READ_TICK: Duration = Duration::from_millis(100);

/// Time past its deadline after which the loop itself answers a request with 503. Workers answer
/// at the deadline, plus one tick; this is for the case that none does.
pub const ANSWER_MARGIN: Duration = Duration::from_millis(500);

/// Ids of requests that a loop draws at once: 4 KiB of random bytes.
pub const REQUEST_IDS_AT_ONCE: usize = 256;

/// The longest time that an answer to a logout, or to whatever else ends sessions, waits for: five
/// seconds of leases (`auth_back --lease` allows no longer one), and what auth_back adds when its servers
/// have to forget what Redis holds.
pub const SETTLE_TIME_MAX: Duration = Duration::from_secs(6);

/// A request that hashes should come back from an auth server within this time, or fewer are sent: a newcomer waits for
/// those that are there whatever its turn is. A twentieth of a second over the 200 ms of hashes that an auth server has in
/// flight.
pub const ANSWER_TIME_MAX: Duration = Duration::from_millis(250);

/// Requests that hash, at one auth server at a time, at the least, if it does not tell how many it hashes at a time: one
/// that is hashed and one that is there when its hash is done.
pub const IN_FLIGHT_MIN: usize = 2;

/// The same at the most: with 4 ms of two cores for each, a flood fills [`ANSWER_TIME_MAX`] by half.
pub const IN_FLIGHT_MAX: usize = 32;

/// Longest time that a request may be set to wait for its turn.
pub const QUEUE_TIME_MAX: Duration = Duration::from_secs(60);

/// Markers of earlier logins that a front remembers: those of the last hours at a few logins a second. Half a mebibyte.
pub const MARKERS: usize = 1 << 16;

/// Networks of which a front notes that a marker came to nothing.
pub const DOUBTS: usize = 1 << 12;

/// For how long it does: a flood from a thousand networks then has 17 requests a second among those who are known, a few
/// percent of what two cores hash.
pub const DOUBT_SECONDS: u32 = 60;

/// How often readiness is looked at, when the last look said yes.
pub const PROBE_INTERVAL: Duration = Duration::from_secs(1);

/// `Retry-After`, in seconds, of a 503 or 429 for which nobody has named a time.
pub const RETRY_AFTER_SECONDS: u32 = 1;

/// Up to so much is added to `Retry-After` at random: all who were refused at one moment would else come back at one.
pub const RETRY_AFTER_SPREAD_MS: u32 = 1_000;

const _: () = assert!(BUFFER_MEMORY_MIN < BUFFER_MEMORY_AUTO);
// A buffer doubles as it grows.
const _: () =
    assert!(BUFFER_MEMORY_PER_LOOP_MIN >= 2 * 4 * reactor::limits::OUTPUT_HIGH_WATER_BYTES as u64);
const _: () = assert!(CATALOG_FETCH_TIME.as_millis() < CATALOG_STALE_MAX.as_millis());
const _: () = assert!(TOKEN_BYTES_MAX <= framing::limits::TOKEN_BYTES_MAX);
const _: () = assert!(USER_AGENT_BYTES_MAX <= framing::limits::USER_AGENT_BYTES_MAX);
const _: () = assert!(READ_TICK.as_millis() < ANSWER_MARGIN.as_millis());
const _: () = assert!(RETRY_AFTER_FAILURE.as_millis() < TRIAL_TIME_MAX.as_millis());
