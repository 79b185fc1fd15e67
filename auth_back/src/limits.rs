//! Every bound of the operator's commands, with its reason. Those of the server are in [`server::limits`].

use std::time::Duration;

use server::limits::{BUDGET_MAX, KEY_COMMAND_INTERVAL, KEY_REREAD_INTERVAL};

/// How long a command waits for the store to come up before it gives up: somebody sits in front of it. A server
/// waits without a limit, and says so each [`START_WAIT_LINE_INTERVAL`](server::limits::START_WAIT_LINE_INTERVAL).
pub(crate) const STORE_PATIENCE: Duration = Duration::from_secs(60);

/// How long a pepper must have been replaced before it can be retired: until then, a server may have read
/// its keys before there was a new one, and a request that it began then may not have ended.
pub(crate) const PEPPER_RETIRE_AFTER: Duration = Duration::from_secs(120);

/// Passes over all users before sealing anew gives up: each finds only what was written during the one
/// before, so more than a few mean that a server does not see the new pepper.
pub(crate) const REWRAP_PASSES_MAX: u32 = 20;

/// The same of a pepper that a command prints or variables have.
pub(crate) const REWRAP_AFTER_COMMAND: Duration = Duration::from_secs(60);

/// Most records a second that sealing anew can be held to.
pub(crate) const REWRAP_RATE_MAX: u32 = 1_000_000;

/// Users whose sessions are ended together by `auth_back restored`: their rows are locked for some ten milliseconds.
pub(crate) const RESTORED_BATCH: u32 = 1_000;

/// How often `auth_back restored` looks whether a server that seems to run renews its node.
pub(crate) const RESTORED_LOOK_INTERVAL: Duration = Duration::from_millis(250);

/// How often a command that waits looks whether it is to stop.
pub(crate) const INTERRUPT_LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// How often a command that takes long says how far it is where there is no terminal.
pub(crate) const PROGRESS_LINE_INTERVAL: Duration = Duration::from_secs(10);

/// Hashes whose median is the time of a hash. Odd, so that there is a middle one.
pub(crate) const CALIBRATE_HASHES_ALONE: usize = 9;

/// How long each set and engine is measured on all threads.
pub(crate) const CALIBRATE_TIME: Duration = Duration::from_millis(700);

/// Longest line of a file of users, in bytes. What is taken has up to 2 KiB; other columns may be longer.
pub(crate) const IMPORT_LINE_BYTES_MAX: usize = 64 << 10;

/// Most columns of a file of users.
pub(crate) const IMPORT_COLUMNS_MAX: usize = 256;

/// How long an import seals under the peppers that it read last. Well below the time after which a
/// replaced one may be retired.
pub(crate) const IMPORT_PEPPERS_FRESH_FOR: Duration = Duration::from_secs(10);

/// Refused lines that are told on standard error, and as many that are warned of. A report has all of them.
pub(crate) const IMPORT_ERRORS_SHOWN_MAX: u64 = 100;

/// Into what classes an import counts hashes, by how many of ours verifying one is worth.
pub(crate) const IMPORT_COST_BANDS: [u32; 3] = [1, 4, 16];

/// Hashes whose median is the time of a hash of another system. Odd, so that there is a middle one.
pub(crate) const IMPORT_COST_SAMPLES: usize = 3;

/// How long a command tries again while the store is away, before it gives up.
pub(crate) const COMMAND_STORE_PATIENCE: Duration = Duration::from_secs(60);

/// How soon it tries again.
pub(crate) const COMMAND_STORE_RETRY: Duration = Duration::from_millis(500);

/// How long `deployment set` waits until every server goes by what it has set.
pub(crate) const DEPLOYMENT_FOLLOWED_TIME_MAX: Duration = Duration::from_secs(12);

/// How often it looks.
pub(crate) const DEPLOYMENT_LOOK_INTERVAL: Duration = Duration::from_millis(250);

/// As much of the run of a Redis as `deployment show` shows: enough to tell two apart.
pub(crate) const SHOWN_REDIS_RUN_CHARS: usize = 8;

/// How far the clock of the database may be from that of the machine where `restored` runs.
pub(crate) const RESTORED_CLOCKS_APART_MAX: Duration = Duration::from_secs(60);

const _: () = assert!(RESTORED_BATCH <= store::limits::USER_RANGE_MAX);
const _: () = assert!(
    PEPPER_RETIRE_AFTER.as_secs() > KEY_COMMAND_INTERVAL.as_secs() + BUDGET_MAX.as_secs()
        && PEPPER_RETIRE_AFTER.as_secs() > KEY_REREAD_INTERVAL.as_secs() + BUDGET_MAX.as_secs()
);
const _: () = assert!(
    REWRAP_AFTER_COMMAND.as_secs()
        > KEY_COMMAND_INTERVAL.as_secs()
            + KEY_REREAD_INTERVAL.as_secs()
            + credentials::limits::KEY_COMMAND_TIME_MAX.as_secs()
);
const _: () = assert!(IMPORT_PEPPERS_FRESH_FOR.as_secs() * 2 <= PEPPER_RETIRE_AFTER.as_secs());
const _: () =
    assert!(DEPLOYMENT_FOLLOWED_TIME_MAX.as_secs() > store::limits::SERVER_LEASE.as_secs());
