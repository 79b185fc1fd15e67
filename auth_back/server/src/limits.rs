//! Every bound of this server that is not a setting, with its reason. The crates below have their own, as
//! [`framing::limits`], [`hashing::limits`] and [`store::limits`]; what two of them have to agree on is
//! asserted here, which sees all.

use std::num::NonZeroUsize;
use std::time::Duration;

use credentials::Cost;
use store::limits::SERVER_LEASE;

/// Requests that one connection may have unanswered; announced in HELLO. As many as have room for
/// their answers, each as long as a frame can be: a loop that comes late finds all of them done, and
/// must not take a peer that keeps to the protocol for one that does not read.
pub const IN_FLIGHT_MAX: u32 = 60;

/// A request's budget counts for this long at the most, whatever its frame says.
pub const BUDGET_MAX: Duration = Duration::from_secs(60);

/// The budget of a v1 request, which cannot say one.
pub const V1_BUDGET: Duration = Duration::from_secs(5);

/// Time for the first message of a connection: HELLO, or a whole v1 request.
pub const GREETING_TIME_MAX: Duration = Duration::from_secs(5);

/// Time from the first byte of a frame to its last. Absolute: a slow sender cannot extend it.
pub const FRAME_TIME_MAX: Duration = Duration::from_secs(10);

/// How long a connection may have nothing to do. Longer than the 60 s after which a front closes
/// one, so that it is the front who closes, when it knows that nothing is in flight.
pub const IDLE_TIME_MAX: Duration = Duration::from_secs(150);

/// Longest display name, in code points: what the column holds.
pub const NAME_CHARS_MAX: usize = store::limits::NAME_CHARS_MAX;

/// How often a change of a password is tried while its record is sealed anew under it, by a login or an
/// operator: each is rare, and each try costs two hashes.
pub const CHANGE_PASSWORD_TRIES_MAX: u32 = 3;

/// Highest age in years that is taken for one.
pub const AGE_MAX: u8 = 150;

/// How long a front may reuse the list of products.
pub const PRODUCTS_FRESH_FOR: Duration = Duration::from_secs(1);

/// How often a start that waits says in the log that it does.
pub const START_WAIT_LINE_INTERVAL: Duration = Duration::from_secs(60);

/// How long the kernel may take to give a start the memory for its hashes: a second for a gigabyte on a slow machine.
pub const ARENAS_TIME_MAX: Duration = Duration::from_secs(60);

/// How often the store is looked at, when the last look said yes.
pub const PROBE_INTERVAL: Duration = Duration::from_secs(1);

/// Time for one look.
pub const PROBE_TIME_MAX: Duration = Duration::from_secs(2);

/// How soon a store that is not there at start is tried again.
pub const STORE_RETRY: Duration = Duration::from_millis(500);

/// How often expired sessions are deleted.
pub const PURGE_INTERVAL: Duration = Duration::from_secs(30);

/// How long an expired session is left: for so long after its time, a note that it was in use may come from a server
/// which the store has refused, and is written before the row would be gone.
pub const PURGE_AFTER: Duration = Duration::from_secs(3600);

/// Between two batches of them, so that logins get the locks.
pub const PURGE_PAUSE: Duration = Duration::from_millis(50);

/// Time for one batch. Stopping the server waits for it.
pub const PURGE_TIME_MAX: Duration = Duration::from_secs(2);

/// Most sessions deleted in one statement.
pub const PURGE_BATCH: u32 = 500;

/// Sessions deleted in one statement however long it takes: with the rest, still 200 a second where
/// it takes ten milliseconds, and 500 where it takes less than five.
pub const PURGE_BATCH_MIN: u32 = 25;

/// How long one statement should take. Logins wait for its locks, in SQLite for all of it.
pub const PURGE_BATCH_TIME: Duration = Duration::from_millis(10);

/// A batch is followed by a rest of so many times what it took: at most a tenth of the time is the
/// purge's.
pub const PURGE_REST: u32 = 9;

/// Lines of the audit log that may wait to be written: at a hundred logins a second, a disk may stand
/// still for more than a minute before one is lost. All of them take 5 MiB.
pub const AUDIT_LINES_QUEUED_MAX: usize = 8_192;

/// Lines of failures that may be among them. The rest is for successes.
pub const AUDIT_FAILURES_QUEUED_MAX: usize = AUDIT_LINES_QUEUED_MAX / 2;

/// Bytes of the audit log that are written together.
pub const AUDIT_BATCH_BYTES: usize = 64 << 10;

/// How long the audit log rests after a batch of lines: to wake its thread costs a login more than to write its line.
/// For so long, lines are in memory alone, and lost if the process is killed.
pub const AUDIT_PAUSE: Duration = Duration::from_millis(20);

/// Longest text of somebody's choice on a line of the audit log, in bytes as they are written: twice the longest
/// username, so that what is no username can still be told apart.
pub const AUDIT_TEXT_BYTES_MAX: usize = 64;

/// Longest user agent on a line of the audit log, in bytes as they are written. The usual browsers' have up to 150.
pub const AUDIT_USER_AGENT_BYTES_MAX: usize = 160;

/// No line of the audit log on one request is longer, its end included (a test builds the longest).
pub const AUDIT_LINE_BYTES_MAX: usize = 552;

/// Most lines of failures a second, after a burst. Enough to see who guesses what and from where; what is not written
/// is counted.
pub const AUDIT_FAILURES_PER_SECOND: u32 = 50;

/// Lines of failures that are written at once, when there were few before: what a mistake in the front or a small
/// attack brings is in the log whole.
pub const AUDIT_FAILURES_BURST: u32 = 1_000;

/// What of it failures may use that cost a look-up and no hash: names that nobody has, sessions that have ended.
pub const AUDIT_FAILURES_BURST_FOR_LOOKUPS: u32 = 400;

/// What of it failures may use that cost their sender nothing: names that cannot be, forged tokens, attempts that are
/// refused as too many.
pub const AUDIT_FAILURES_BURST_FOR_NOTHING: u32 = 200;

/// From one failure that is written to the next, when there are many.
pub const AUDIT_FAILURES_INTERVAL: Duration =
    Duration::from_nanos(1_000_000_000 / AUDIT_FAILURES_PER_SECOND as u64);

/// How often failures that were not written are told of.
pub const AUDIT_SUMMARY_INTERVAL: Duration = Duration::from_secs(10);

/// No line on them is longer (a test builds the longest): each kind, in the largest number.
pub const AUDIT_SUMMARY_BYTES_MAX: usize = 4_800;

/// What all strangers together can make the audit log grow by in an hour in which nobody gets in: 102 MB. Whoever gets in
/// adds [`AUDIT_LINE_BYTES_MAX`] for the login and as much for the end of its session, and a machine's hashes bound
/// how often that can be.
pub const AUDIT_FAILURE_BYTES_PER_HOUR: u64 = {
    let lines = AUDIT_FAILURES_BURST as u64 + 3_600 * AUDIT_FAILURES_PER_SECOND as u64;
    let summaries = 3_600 / AUDIT_SUMMARY_INTERVAL.as_secs();
    lines * AUDIT_LINE_BYTES_MAX as u64 + summaries * AUDIT_SUMMARY_BYTES_MAX as u64
};

/// Successes of one account from one network that come within this time after the first are told together.
pub const AUDIT_REPEATS_TIME: Duration = Duration::from_secs(60);

/// Accounts and networks whose successes are watched for that at a time. Each takes about 200 bytes, and up to 1,000
/// if there is more than one success: 8 MiB at the most.
pub const AUDIT_REPEATS_MAX: usize = 8_192;

/// Successes that are told together at the most: a line has the ids of all their sessions.
pub const AUDIT_REPEATS_SESSIONS_MAX: usize = 32;

/// No line on several successes is longer (a test builds the longest).
pub const AUDIT_REPEATED_LINE_BYTES_MAX: usize =
    AUDIT_LINE_BYTES_MAX + 100 + 23 * (AUDIT_REPEATS_SESSIONS_MAX - 1);

/// How soon turning over a file of the audit log is tried again after it failed.
pub const AUDIT_TURN_RETRY: Duration = Duration::from_secs(10);

/// Smallest file of the audit log that can be set: a batch with its last line, or a file would be turned over in the
/// middle of one.
pub const AUDIT_FILE_BYTES_MIN: u64 = 128 << 10;

/// Largest file of the audit log that can be set: where nothing but `logrotate` is to turn it over, and the disk is the
/// bound.
pub const AUDIT_FILE_BYTES_CEILING: u64 = 1 << 40;

/// Fewest files of the audit log: the one that is written to, and the one before.
pub const AUDIT_FILES_MIN: u32 = 2;

/// Most files of the audit log. Each turn renames all of them.
pub const AUDIT_FILES_MAX: u32 = 1_000;

/// How often a server reads keys in files again.
pub const KEY_REREAD_INTERVAL: Duration = Duration::from_secs(5);

/// How often a server runs a command that prints keys again.
pub const KEY_COMMAND_INTERVAL: Duration = Duration::from_secs(30);

/// Least time between two readings that the id in a token or a record can cause, if the last one failed
/// or runs a command: anybody can send a token with any id.
pub const KEY_LOOKUP_INTERVAL: Duration = Duration::from_secs(5);

/// How often the store is asked whether it lists a key that a token names and this server lacks: anybody can send a
/// token with any id. Until then, nobody knows, and the answer is 503.
pub const KEY_LIST_INTERVAL: Duration = Duration::from_secs(1);

/// How long a request waits for another that is reading the files of keys, which takes well under a
/// millisecond.
pub const KEY_LOOKUP_TIME_MAX: Duration = Duration::from_millis(100);

/// For so long after a command has printed all keys, an id that was not among them is known to be none.
pub const KEY_ABSENT_FOR: Duration = Duration::from_secs(1);

/// How often the log repeats why keys cannot be read.
pub const KEY_FAULT_LOG_INTERVAL: Duration = Duration::from_secs(60);

/// Records of one page of a walk over all users.
pub const RECORD_PAGE: u32 = 500;

/// Records that are sealed anew together. Their rows are locked for a few milliseconds.
pub const REWRAP_BATCH: usize = 100;

/// How long a pepper in files must have been in use before records are sealed under it all at once: until then, a
/// server may not have read it, or not yet said that it cannot. It reads files again after two intervals at the latest.
/// So long a server may also sign with a token key that was replaced.
pub const REWRAP_AFTER: Duration = Duration::from_secs(12);

/// Time for one call to the store by a command or at start: in nobody's way, and not for ever.
pub const STORE_CALL_TIME_MAX: Duration = Duration::from_secs(10);

/// Most old records a second that logins may be set to hash anew.
pub const REHASH_RATE_MAX: u32 = 10_000;

/// A login with less time left than this does not hash its record anew: the user is waiting.
pub const REHASH_TIME_MIN: Duration = Duration::from_millis(250);

/// Memory of everything that is neither an arena nor a counter of attempts: the program, its threads, the
/// connections and caches of the store, requests that wait. Measured at 15 to 30 MB after a start.
pub const MEMORY_HEADROOM: u64 = 48 << 20;

/// Memory for the buffers of the fronts' connections; part of [`MEMORY_HEADROOM`]. A connection that is served holds a
/// few KiB for a moment.
pub const RPC_BUFFER_BYTES_MAX: usize = 16 << 20;

/// Arenas that are needed at start however few there are later: one for each engine that is compared.
pub const ARENAS_AT_START: usize = 2;

/// The same where two hashes together are compared too.
pub const ARENAS_AT_START_IN_TWOS: usize = 3;

/// A record that takes longer to verify than so many usual ones is dear: it has a thread and a queue of its own.
pub const DEAR_HASH_COST_MIN: Cost = Cost::of_hashes(4);

/// A login that was right and late may have its record hashed anew for so long: it has been answered, and nobody waits.
pub const LATE_UPGRADE_TIME_MAX: Duration = Duration::from_secs(2);

/// Most hashes that a thread computes together: what the fast engine can, and more would only take more memory.
pub const HASHES_PER_THREAD_MAX: NonZeroUsize = NonZeroUsize::new(2).expect("not zero");

/// Most threads that hash that can be set: the cores of the largest machines.
pub const HASH_THREADS_MAX: NonZeroUsize = NonZeroUsize::new(256).expect("not zero");

/// Threads that begin requests, and as many that finish them, for each hash at a time: none waits for a hash, but they
/// wait for the store, and for Redis.
pub const HEAVY_THREADS_PER_HASH: NonZeroUsize = NonZeroUsize::new(4).expect("not zero");

/// The longest that a request may be set to wait for its turn.
pub const QUEUE_TIME_MAX: Duration = BUDGET_MAX;

/// Most threads of the light lane that can be set: twice the most connections of a store.
pub const LIGHT_THREADS_MAX: NonZeroUsize = NonZeroUsize::new(256).expect("not zero");

/// Longest queue of a lane that can be set. A job takes up to a few KiB.
pub const QUEUE_MAX: NonZeroUsize = NonZeroUsize::new(65_536).expect("not zero");

/// Most connections that can be set: about as many files as Linux lets a process open by default
/// (`fs.nr_open`, 1,048,576).
pub const CONNECTIONS_MAX: usize = 1_000_000;

/// File descriptors of one connection to SQLite: the file, its log, and a temporary file. The shared index is one for
/// all connections, and is among [`OWN_DESCRIPTORS`].
pub const SQLITE_DESCRIPTORS: usize = 3;

/// File descriptors that the process has for itself: its standard streams, two listeners with their loops, signals, the
/// audit log, a list of breached passwords, keys while they are read or a command prints them, files of `/proc`
/// while metrics are read; the rest is for what libraries open.
pub const OWN_DESCRIPTORS: usize = 24;

/// File descriptors for nothing in particular, so that a sum that is short by a few does no harm.
pub const DESCRIPTORS_RESERVE: usize = 8;

/// Shortest session that can be set. Shorter ones end on the way to their user.
pub const SESSION_LIFETIME_MIN: Duration = Duration::from_secs(1);

/// Longest session that can be set: a year.
pub const SESSION_LIFETIME_MAX: Duration = Duration::from_secs(366 * 24 * 3600);

/// How long `http_front` waits for an answer unless its `--request-timeout` says otherwise: a hash that takes longer lets
/// nobody in.
pub const FRONT_TIME_DEFAULT: Duration = Duration::from_secs(2);

/// Servers that may keep their files in one directory.
pub const INSTANCES_PER_DIRECTORY_MAX: u32 = 64;
/// How often a process says that it still has its node of ids.
pub const NODE_RENEW_INTERVAL: Duration = Duration::from_secs(1);
/// The same when the last time failed: an outage of the store is not to last longer for it.
pub const NODE_RENEW_RETRY: Duration = Duration::from_millis(250);
/// Longest wait for the store when it does.
pub const NODE_RENEW_TIME_MAX: Duration = Duration::from_secs(2);
/// The same at the end, when somebody waits for the process.
pub const NODE_RELEASE_TIME_MAX: Duration = Duration::from_millis(500);
/// How long a process makes ids after it has renewed its node.
pub const NODE_TIME: Duration = Duration::from_secs(5);
/// How far it may go in any case: so many milliseconds have 4,096 ids each. A server that is ended and started again and
/// again begins so much later each time.
pub const NODE_STEP: Duration = Duration::from_millis(100);
/// A node whose ids are further ahead is not taken. Ids may run ahead of the clock by twice as much.
pub const NODE_AHEAD_MAX: Duration = Duration::from_secs(30);
/// How often a process looks for a free node when others are quicker.
pub const NODE_TRIES_MAX: u32 = 100;
/// How long after it has renewed its node a server goes by the rules that it has read in the store then.
pub const RULES_FRESH_FOR: Duration = Duration::from_millis(4_900);
/// How long a command waits for the store to say them; then it waits for the longest leases that there are.
pub const RULES_ASK_TIME_MAX: Duration = Duration::from_secs(2);
/// How long a start with other settings looks whether another server lives, or was killed.
pub const RIVAL_TIME_MAX: Duration = Duration::from_secs(12);
/// How often it looks.
pub const RIVAL_LOOK_INTERVAL: Duration = Duration::from_millis(250);
/// How often settings are written when others write them too.
pub const DEPLOYMENT_TRIES_MAX: u32 = 10;
/// How long a server may have another Redis than the others before it is not ready: they do not change at one moment.
pub const OTHER_REDIS_TIME_MAX: Duration = Duration::from_secs(5);
/// How long a server waits for its Redis to say which run it is.
pub const REDIS_LOOK_TIME_MAX: Duration = Duration::from_millis(100);
/// How often an id is tried anew that is taken. Nodes make that impossible, but for servers of release 0.1.
pub const REGISTRATION_TRIES_MAX: u32 = 3;

const _: () = assert!(RPC_BUFFER_BYTES_MAX as u64 <= MEMORY_HEADROOM / 3);
// One connection alone does not use it up.
const _: () = assert!(
    RPC_BUFFER_BYTES_MAX
        >= 2 * (reactor::limits::OUTPUT_BYTES_MAX + framing::limits::FRAME_BYTES_MAX)
);
// Below the high-water mark requests are still taken, so their answers come on top of it.
const _: () = assert!(
    reactor::limits::OUTPUT_HIGH_WATER_BYTES
        + (IN_FLIGHT_MAX as usize + 1) * framing::limits::FRAME_BYTES_MAX
        <= reactor::limits::OUTPUT_BYTES_MAX
);
const _: () = assert!(
    HASH_THREADS_MAX.get() * HEAVY_THREADS_PER_HASH.get() <= lane::limits::LANE_THREADS_MAX
);
const _: () = assert!(BUDGET_MAX.as_millis() < sessions::limits::TOMBSTONE.as_millis());
const _: () = assert!(sessions::limits::LISTED_MAX as usize == framing::limits::SESSIONS_MAX);
const _: () = assert!(SESSION_LIFETIME_MAX.as_secs() <= sessions::limits::IDLE_MAX.as_secs());
const _: () = assert!(PURGE_AFTER.as_secs() >= server_time::limits::KEPT_AFTER_MIN.as_secs());
// Who looks for notes each so often finds every one.
const _: () =
    assert!(guard::limits::UNLOCK_NOTE_KEPT.as_secs() > 4 * KEY_REREAD_INTERVAL.as_secs());
// What a browser is known by fits its field.
const _: () = assert!(credentials::token::DEVICE_TEXT_LEN <= framing::limits::DEVICE_BYTES_MAX);
// What keys are checked by fits its column.
const _: () = assert!(credentials::limits::KEY_CHECK_LEN == store::limits::KEY_CHECK_LEN);
// Whoever goes on with hashes that were done together commits them together.
const _: () = assert!(hashing::limits::HASHES_TOGETHER_MAX == store::limits::COMMIT_TOGETHER_MAX);
const _: () = assert!(LATE_UPGRADE_TIME_MAX.as_millis() > REHASH_TIME_MIN.as_millis());
const _: () =
    assert!(HASH_THREADS_MAX.get() * HASHES_PER_THREAD_MAX.get() <= pool::limits::SIZE_MAX);
const _: () = assert!(LIGHT_THREADS_MAX.get() <= lane::limits::LANE_THREADS_MAX);
const _: () = assert!(PURGE_BATCH <= store::limits::PURGE_BATCH_MAX);
const _: () = assert!(0 < PURGE_BATCH_MIN && PURGE_BATCH_MIN <= PURGE_BATCH);
const _: () = assert!(GREETING_TIME_MAX.as_millis() <= IDLE_TIME_MAX.as_millis());
const _: () = assert!(IN_FLIGHT_MAX > 0);
const _: () = assert!(AUDIT_TEXT_BYTES_MAX >= credentials::limits::USERNAME_LEN_MAX);
const _: () = assert!(
    0 < AUDIT_FAILURES_BURST_FOR_NOTHING
        && AUDIT_FAILURES_BURST_FOR_NOTHING < AUDIT_FAILURES_BURST_FOR_LOOKUPS
        && AUDIT_FAILURES_BURST_FOR_LOOKUPS < AUDIT_FAILURES_BURST
        && AUDIT_FAILURES_BURST as usize <= AUDIT_FAILURES_QUEUED_MAX
        && AUDIT_FAILURES_QUEUED_MAX < AUDIT_LINES_QUEUED_MAX
);
const _: () = assert!(1_000_000_000 % AUDIT_FAILURES_PER_SECOND == 0);
const _: () = assert!(
    (AUDIT_BATCH_BYTES + AUDIT_REPEATED_LINE_BYTES_MAX + AUDIT_SUMMARY_BYTES_MAX) as u64
        <= AUDIT_FILE_BYTES_MIN
);
// The default of --audit-file-size and --audit-files outlasts a night of it.
const _: () = assert!((64 << 20) * 16 > 8 * AUDIT_FAILURE_BYTES_PER_HOUR);
const _: () = assert!(REWRAP_BATCH <= store::limits::RECORD_CHANGES_MAX);
const _: () = assert!(RECORD_PAGE <= store::limits::RECORDS_PAGE_MAX);
const _: () = assert!(REWRAP_AFTER.as_secs() > 2 * KEY_REREAD_INTERVAL.as_secs());
// Whoever takes a node over may begin at once: its last holder has stopped before.
const _: () = assert!(NODE_TIME.as_secs() < SERVER_LEASE.as_secs());
const _: () =
    assert!(NODE_RENEW_TIME_MAX.as_secs() + NODE_RENEW_INTERVAL.as_secs() < NODE_TIME.as_secs());
const _: () =
    assert!(NODE_AHEAD_MAX.as_millis() * 2 <= credentials::ids::snowflake::AHEAD_MS_MAX as u128);
// Whoever was killed is known to have been.
const _: () = assert!(RIVAL_TIME_MAX.as_secs() > SERVER_LEASE.as_secs());
// A server that lives no more has given no lease that still runs.
const _: () = assert!(
    RULES_FRESH_FOR.as_millis()
        + sessions::limits::LEASE_MAX.as_millis()
        + sessions::limits::LEASE_MARGIN.as_millis()
        <= SERVER_LEASE.as_millis()
);
