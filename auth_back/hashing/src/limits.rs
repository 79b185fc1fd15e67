//! Every bound of hashing, with its reason. Relations between them are checked when the crate is compiled.

use std::num::NonZeroUsize;
use std::time::Duration;

use lane::Niceness;

/// Most memory of one hash, in KiB: 1 GiB. An arena of that size is allocated for each core.
pub const ARGON2_M_KIB_MAX: u32 = 1 << 20;

/// Most passes over the memory.
pub const ARGON2_T_MAX: u32 = 64;

/// Most lanes. The engine computes them one after the other, so more of them gain nothing; records
/// from elsewhere have up to 8 by default.
pub const ARGON2_P_MAX: u32 = 16;

/// Least memory for each lane, in KiB (RFC 9106, section 3.1: m is at least 8p).
pub const ARGON2_M_KIB_PER_LANE_MIN: u32 = 8;

/// Most work of one hash, in KiB written: 4 GiB, a few seconds of one core. Without it, memory and
/// passes that are each within bounds could together hold a core for minutes.
pub const ARGON2_WORK_KIB_MAX: u64 = 4 << 20;

/// Length of a password's salt, in bytes (RFC 9106, section 3.1: 16 are recommended).
pub const SALT_LEN: usize = 16;

/// Length of an argon2id tag, in bytes (RFC 9106, section 4: 256 bits).
pub const TAG_LEN: usize = 32;

/// Shortest salt of a hash that another system made, in bytes. What has none at all is no salted hash.
pub const FOREIGN_SALT_LEN_MIN: usize = 1;

/// Longest salt of a hash that another system made, in bytes: the record has to fit its column. The
/// systems that are known have 8 to 22, and 16 is what NIST SP 800-132 asks for.
pub const FOREIGN_SALT_LEN_MAX: usize = 32;

/// Shortest tag of a hash that another system made, in bytes. A shorter one is met by wrong passwords
/// too often to prove anything.
pub const FOREIGN_TAG_LEN_MIN: usize = 16;

/// Longest tag of a hash that another system made, in bytes: that of SHA-512, and of Django's scrypt.
pub const FOREIGN_TAG_LEN_MAX: usize = 64;

/// Most memory of a hash that does not fit an arena, in KiB: 128 MiB, taken for one such hash at a time
/// and given back after it. Room for scrypt as OWASP recommends it (N = 2^17, r = 8), and for the
/// defaults of passlib (64 MiB), argon2-cffi (64 MiB) and Django (100 MiB).
pub const ANNEX_KIB_MAX: u32 = 128 << 10;

/// Highest bcrypt cost that is taken: two to three seconds of one core, more than fronts wait unless
/// their `--request-timeout` is raised, as an import says. 12 is the usual default, and 14 is in time.
pub const BCRYPT_COST_MAX: u8 = 15;

/// Lowest bcrypt cost: what the function itself allows.
pub const BCRYPT_COST_MIN: u8 = 4;

/// What bcrypt looks at of a password, in bytes.
pub const BCRYPT_PASSWORD_LEN_MAX: usize = 72;

/// Most iterations of PBKDF2, times the blocks of its output: two to three seconds of one core. OWASP
/// recommends 600,000 with SHA-256, and Django is at 1,000,000 to 1,500,000.
pub const PBKDF2_ROUNDS_MAX: u32 = 10_000_000;

/// Highest block size r of scrypt. Everybody uses 8.
pub const SCRYPT_R_MAX: u32 = 32;

/// Highest parallelism p of scrypt. Computed one after the other.
pub const SCRYPT_P_MAX: u32 = 16;

/// Most that scrypt may write, in KiB: 1 GiB, about two seconds of one core.
pub const SCRYPT_WORK_KIB_MAX: u64 = 1 << 20;

/// How far hashing gives way to everything else: on a busy core, a thread of this niceness gets
/// about a tenth of the share of one at 0 (sched(7)), so session checks pass logins.
pub const HASHING_NICENESS: Niceness = Niceness::new(10).expect("below 20");

/// How far dear hashes give way to usual ones: about two fifths of their share of a core that both want. Less, and their
/// owners would not get in while others log in; more, and a few guesses at dear records would slow all others down.
pub const DEAR_HASHING_NICENESS: Niceness = Niceness::new(14).expect("below 20");

/// Dear hashes that may wait. At bcrypt's usual cost of 12 they take 0.3 s each, so the last of them would wait longer
/// than fronts do.
pub const DEAR_HASHES_QUEUED_MAX: NonZeroUsize = NonZeroUsize::new(8).expect("not zero");

/// For how long whoever goes on with a hash that is done is woken later than could be, while others wait: until so many are
/// done, or for so long. As many logins are then committed together. The first of them waits for the others, less time than
/// for its turn to be hashed.
pub const HASHES_TOGETHER_MAX: usize = 8;

/// See [`HASHES_TOGETHER_MAX`]. Two threads that hash two together in 36 ms each have as many done after 72 ms. With 25 ms
/// nothing was held back there, and a login took a twentieth more CPU.
pub const HELD_BACK_MAX: Duration = Duration::from_millis(100);

/// What a lane is told of hashes is the mean of so many.
pub const PACE_HASHES: usize = 8;

/// For how long it is believed how long hashes took.
pub const PACE_KNOWN_FOR: Duration = lane::limits::LANE_PACE_KNOWN_FOR;

/// Hashes in flight take so long together: a request that is hashed can no longer be overtaken, so a newcomer waits for
/// them whatever its turn is.
pub const HASHES_IN_FLIGHT_TIME: Duration = Duration::from_millis(200);

/// Most hashes in flight for each thread. As many logins wait for each other and for the disk as are committed together, and
/// others have to be there to be hashed meanwhile.
pub const HASHES_IN_FLIGHT_PER_THREAD_MAX: NonZeroUsize = NonZeroUsize::new(10).expect("not zero");

const _: () = assert!(ARGON2_WORK_KIB_MAX >= ARGON2_M_KIB_MAX as u64);
const _: () = assert!(TAG_LEN >= FOREIGN_TAG_LEN_MIN && TAG_LEN <= FOREIGN_TAG_LEN_MAX);
const _: () = assert!(SALT_LEN >= FOREIGN_SALT_LEN_MIN && SALT_LEN <= FOREIGN_SALT_LEN_MAX);
const _: () = assert!(ANNEX_KIB_MAX <= ARGON2_M_KIB_MAX);
const _: () = assert!(HASHES_IN_FLIGHT_PER_THREAD_MAX.get() > HASHES_TOGETHER_MAX);
