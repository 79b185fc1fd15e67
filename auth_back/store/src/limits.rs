//! Every number that bounds a store, with its reason.

use std::time::Duration;

/// Longest username, in bytes. The column is `VARBINARY(254)`; what a name may be, `credentials::username` says.
pub const USERNAME_BYTES_MAX: usize = 254;

/// Longest password record, in bytes. The column is `VARCHAR(255)`, the longest whose length takes one
/// byte of the row.
pub const PASSWORD_RECORD_BYTES_MAX: usize = 255;

/// Longest display name, in code points.
pub const NAME_CHARS_MAX: usize = 255;

/// What is kept of a `User-Agent`, in code points: enough to recognise a device by.
pub const USER_AGENT_CHARS_MAX: usize = 255;

/// Most sessions that one purge deletes. A batch this small holds its locks for a few milliseconds.
pub const PURGE_BATCH_MAX: u32 = 1_000;

/// Most password records of one page. A page this long is read in a few milliseconds and is well below
/// 1 MiB.
pub const RECORDS_PAGE_MAX: u32 = 1_000;

/// Most users that one transaction imports: a disk sync is shared by so many, and others who want to
/// write, or one of these names, wait for some ten milliseconds and that sync.
pub const IMPORT_BATCH_MAX: usize = 250;

/// Most users of one page of an export. A row has up to 1.5 KiB.
pub const PROFILES_PAGE_MAX: u32 = 500;

/// Most users of one page that has their ids alone: it is read in a few milliseconds.
pub const USER_RANGE_MAX: u32 = 10_000;

/// While SQLite makes a copy, it asks after so many operations of its machine whether to go on: after some milliseconds.
pub const SQLITE_COPY_LOOK_OPERATIONS: std::ffi::c_int = 20_000;

/// How long a copy of SQLite waits for a lock. Servers hold those that it needs for no longer than an opening takes.
pub const SQLITE_COPY_LOCK_TIME_MAX: Duration = Duration::from_secs(10);

/// Most password records that are replaced together: their rows are locked for a few milliseconds.
pub const RECORD_CHANGES_MAX: usize = 200;

/// Length of the value that tells a key from another of the same id, in bytes. The column is
/// `BINARY(16)`.
pub const KEY_CHECK_LEN: usize = 16;

/// Connections (MySQL) or readers (SQLite), unless told otherwise. A login needs one for well under a
/// millisecond, so eight serve several thousand a second.
pub const CONNECTIONS_DEFAULT: usize = 8;

/// Most connections: MySQL grants 151 to everybody together by default.
pub const CONNECTIONS_MAX: usize = 128;

/// SQLite lets one connection write at a time. A pool of one makes writers queue in order, where
/// SQLite itself would have them sleep and try again.
pub const SQLITE_WRITERS: usize = 1;

/// Pages that a reader of SQLite keeps: the upper levels of its tables and indexes. The rest is in the
/// system's page cache. With SQLite's default, 500, a page is copied from there to memory that the
/// processor's caches have lost, and a session check costs more (BENCHMARKS.md, "Cost as it grows").
pub const SQLITE_READER_PAGES: i64 = 100;

/// A database connection is replaced at this age, so that a changed address or a new replica behind one
/// is noticed.
pub const CONNECTION_LIFETIME: Duration = Duration::from_secs(30 * 60);

/// Chance takes up to this off the lifetime, so that connections opened together do not all end
/// together.
pub const CONNECTION_LIFETIME_JITTER: Duration = Duration::from_secs(5 * 60);

/// A connection that nobody needed for this long is closed. Well under MySQL's `wait_timeout` (eight
/// hours) and under the idle limits of common proxies and firewalls.
pub const CONNECTION_IDLE_TIMEOUT: Duration = Duration::from_secs(4 * 60);

/// Longest wait for a TCP connection to MySQL, if the caller's deadline does not come first.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// The server gives up a statement, or its wait for a lock, after this long and says so.
pub const STATEMENT_TIMEOUT: Duration = Duration::from_secs(1);

/// Longest wait for one read from, or one write to, a MySQL connection; then it is given up. This is
/// how far a call may overrun its deadline when the server falls silent, since the driver fixes the
/// timeout of a socket when it connects.
pub const IO_TIMEOUT: Duration = Duration::from_secs(2);

/// Longest that one statement of a migration may take. A copy of a table with a million users takes well under a
/// minute; this is for a thousand times as many.
pub const MIGRATION_STATEMENT_TIME_MAX: Duration = Duration::from_secs(6 * 60 * 60);

/// How soon the system asks whether a database that says nothing during a migration is still there.
pub const MIGRATION_KEEPALIVE: Duration = Duration::from_secs(60);

/// Calls in a row to which MySQL gives no answer in time before others are refused at once: one may be an unlucky
/// statement, and each costs a thread up to [`IO_TIMEOUT`].
pub const HANGS_AFTER: u32 = 3;

/// How often one call finds out whether a database that hangs answers again.
pub const HANGING_REST: Duration = Duration::from_secs(1);

/// While the database takes no writes, connections are replaced at most this often: they may lead to a demoted primary,
/// and an address that has moved is found by a new one. The heart-beat of each server writes once a second.
pub const ERA_MIN: Duration = Duration::from_millis(900);

/// A statement that lost a deadlock was rolled back whole and is tried again, at most so often.
pub const DEADLOCK_RETRIES_MAX: u32 = 2;

/// Most sessions that are looked up together. A front sends about as many checks at once; looking up
/// this many takes a fraction of a millisecond, and no other check has to wait longer than that.
pub const SESSIONS_TOGETHER_MAX: usize = 64;

/// Most sessions that are noted as seen together. Digests are random, so each is a page of its own to be logged: a
/// quarter of a mebibyte, and a few milliseconds with the sync of the disk, which logins on SQLite wait for.
pub const NOTES_TOGETHER_MAX: usize = 64;

/// Largest MySQL packet that is sent or accepted, in bytes. Told to the driver, because it would ask the
/// server at each connect otherwise.
pub const PACKET_BYTES_MAX: usize = 1 << 20;

/// Sessions, or new users, that are committed together at the most. Eight take a third of a login's time outside its hash less than
/// four; with more the first would wait for long, and what one commit costs is little beside the hashes already.
pub const COMMIT_TOGETHER_MAX: usize = 8;

/// Longest wait between two tries to switch a new SQLite file to write-ahead logging while another
/// process does the same.
pub const SQLITE_WAL_RETRY_PAUSE: Duration = Duration::from_millis(5);

/// Commits after which a thread carries SQLite's log into its file. A login is a commit of some six pages of 4 KiB.
pub const SQLITE_CHECKPOINT_COMMITS: u32 = 40;

/// How long that thread rests in between, at least: each time costs a sync of the log.
pub const SQLITE_CHECKPOINT_PAUSE: Duration = Duration::from_millis(50);

/// How long it waits for the file when it opens it.
pub const SQLITE_CHECKPOINT_OPEN_TIME_MAX: Duration = Duration::from_secs(1);

/// How long a store that is closed waits for it.
pub const SQLITE_CHECKPOINT_END_TIME_MAX: Duration = Duration::from_secs(2);

/// Pages in SQLite's log from which on a commit carries into the file what is not there yet. SQLite's default is 1,000.
/// With 4,000, p99 of logins at saturation was 77 ms instead of 60.
pub const SQLITE_LOG_PAGES_MAX: u32 = 2_000;

/// What is left of SQLite's log after a checkpoint that was late, in bytes: twice [`SQLITE_LOG_PAGES_MAX`] with their
/// headers. A reader that stays keeps it growing, and it never shrinks by itself.
pub const SQLITE_LOG_BYTES_KEPT: u64 = 16 << 20;

/// Size of SQLite's log from which on the server's own log says that something keeps it from being checkpointed.
pub const SQLITE_LOG_BYTES_WARN: u64 = 4 * SQLITE_LOG_BYTES_KEPT;

const _: () = assert!(SQLITE_LOG_PAGES_MAX as u64 * (4096 + 24) < SQLITE_LOG_BYTES_KEPT);
// The server speaks first: its error says that nothing was done, our giving up leaves that unknown.
const _: () = assert!(STATEMENT_TIMEOUT.as_millis() < IO_TIMEOUT.as_millis());
// MySQL takes lock wait timeouts in whole seconds, and zero has its own meaning.
const _: () = assert!(STATEMENT_TIMEOUT.as_secs() >= 1 && STATEMENT_TIMEOUT.subsec_nanos() == 0);
const _: () = assert!(PROFILES_PAGE_MAX as usize * 1536 < PACKET_BYTES_MAX);
const _: () =
    assert!(RECORDS_PAGE_MAX as usize * (PASSWORD_RECORD_BYTES_MAX + 16) < PACKET_BYTES_MAX);
const _: () = assert!(CONNECTION_LIFETIME_JITTER.as_secs() < CONNECTION_LIFETIME.as_secs());
const _: () = assert!(CONNECTION_IDLE_TIMEOUT.as_secs() < CONNECTION_LIFETIME.as_secs());
const _: () = assert!(0 < CONNECTIONS_DEFAULT && CONNECTIONS_DEFAULT <= CONNECTIONS_MAX);
const _: () = assert!(CONNECTIONS_MAX <= pool::limits::SIZE_MAX);
// The widest row sent: a user with a four-byte code point in each place, and room to spare.
const _: () = assert!(
    USERNAME_BYTES_MAX + PASSWORD_RECORD_BYTES_MAX + 4 * NAME_CHARS_MAX < PACKET_BYTES_MAX / 2
);

/// How often a password is tried that the database refuses, before it is taken for wrong.
pub const PASSWORD_TRIES_MAX: u32 = 3;

/// A server that has not renewed its node for so long has lost it to whoever wants it.
pub const SERVER_LEASE: Duration = Duration::from_secs(10);
