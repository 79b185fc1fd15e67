//! What can be set, and the checked settings that the server starts from.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use credentials::ids::NodeId;
use credentials::limits::SERVICE_NAMES_MAX;
use credentials::{KeyDirectory, KeySource, PasswordPolicy};
use guard::GuardRules;
use hashing::Params;
use lane::LaneSize;
use redis_pool::{RedisUrl, RedisUrlError};
use service::descriptors::Wanted;
use service::gather;
use service::hardening::{self, CoreDumps, available_cores};
use service::lifetime::{self, StopTimes};
use service::log::{self, LogSettings};
use service::pid_file::{self, PidFile};
use service::settings::values::Values;
use service::settings::{Program, Setting, SettingError, SettingErrors};
use sessions::SessionRules;
use sessions::limits::{IDLE_LEASES_MIN, IDLE_MIN, LEASE_MAX, PER_USER_MAX};
use store::{self, StoreUrl};

use crate::accounts::Rules;
use crate::audit::{AuditTarget, OPERATORS_FILE, Turning, is_operators_file};
use crate::limits::{
    AUDIT_FILE_BYTES_CEILING, AUDIT_FILE_BYTES_MIN, AUDIT_FILES_MAX, AUDIT_FILES_MIN,
    CONNECTIONS_MAX, HASH_THREADS_MAX, HASHES_PER_THREAD_MAX, LIGHT_THREADS_MAX, QUEUE_MAX,
    QUEUE_TIME_MAX, REHASH_RATE_MAX, SESSION_LIFETIME_MAX, SESSION_LIFETIME_MIN,
};

pub mod shared;

pub use self::shared::{Shared, SharedRules, SharedValues};

/// The program and the table of its settings.
pub static PROGRAM: Program = Program::new(
    "auth_back",
    env!("CARGO_PKG_VERSION"),
    "The signup and login service: hashes passwords, keeps users and sessions",
    &[
        Setting::value("listen", "ADDRESS", "Where fronts connect; never to be reached by users")
            .default("127.0.0.1:7051")
            .group("Addresses"),
        Setting::value(
            "ops-listen",
            "ADDRESS",
            "Where /healthz, /readyz and /metrics are served; keep it off the internet",
        )
        .default("127.0.0.1:9051")
        .group("Addresses"),
        Setting::switch("accept-v1", "Speak protocol v1 too, to clients that know no other")
            .group("Addresses"),
        Setting::value(
            "data",
            "DIRECTORY",
            "Where keys are kept, and the SQLite file unless --store says otherwise",
        )
        .default("./data")
        .group("Storage"),
        Setting::value(
            "store",
            "URL",
            "sqlite:PATH, or mysql://user:password@host:port/database; by default users.sqlite in --data",
        )
        .secret()
        .group("Storage"),
        Setting::value(
            "pepper-keys",
            "SOURCE",
            "directory:PATH, environment:PREFIX or command:PROGRAM ARG…; by default the directory keys in --data",
        )
        .group("Storage"),
        Setting::value(
            "token-keys",
            "SOURCE",
            "The same for the keys of session tokens",
        )
        .group("Storage"),
        Setting::value("store-connections", "COUNT", "Connections to the store")
            .default("8")
            .group("Storage"),
        Setting::switch(
            "migrate",
            "Bring an older store to this program's schema at the start; by default true for SQLite and false for \
             MySQL, where `auth_back migrate` does it. An empty store gets its schema in any case",
        )
        .without_default()
        .group("Storage"),
        Setting::value(
            "argon2",
            "PARAMETERS",
            "Work factor of new passwords, at least as strong as one of OWASP's sets",
        )
        .default("m=19456,t=2,p=1")
        .group("Passwords"),
        Setting::switch(
            "allow-weak-argon2",
            "Let --argon2 be weaker than OWASP's sets; for tests, which hash a lot",
        )
        .group("Passwords"),
        Setting::value(
            "hash-engine",
            "ENGINE",
            "auto takes the fastest engine that agrees with the reference at start; reference the slower one",
        )
        .default("auto")
        .group("Passwords"),
        Setting::value(
            "hash-threads",
            "COUNT",
            "Threads that hash. auto is one per core",
        )
        .default("auto")
        .group("Passwords"),
        Setting::value(
            "hashes-per-thread",
            "COUNT",
            "1, or 2: hashes that a thread computes together while others wait; each has an arena of the size that \
             --argon2 says. auto is 2 where that is faster (AVX-512) and the memory is there",
        )
        .default("auto")
        .group("Passwords"),
        Setting::value(
            "rehash-rate",
            "COUNT",
            "Old records a second that logins may hash anew, on this server, beside their own hash; 0 for none",
        )
        .default("2")
        .group("Passwords"),
        Setting::value("password-chars-min", "COUNT", "Shortest new password; NIST wants 15 where it is the only factor")
            .default("8")
            .group("Passwords"),
        Setting::value("password-chars-max", "COUNT", "Longest new password")
            .default("128")
            .group("Passwords"),
        Setting::list(
            "service-names",
            "NAME",
            "Names of the product that users log in to; no new password may be made of one, or of the username",
        )
        .default("gatehouse")
        .group("Passwords"),
        Setting::value(
            "breached-passwords",
            "FILE",
            "Passwords that were stolen elsewhere, none of which may be chosen: made by `auth_back breached build`",
        )
        .group("Passwords"),
        Setting::value(
            "sessions",
            "PLACE",
            "Where session checks are answered from: store, or redis://user:password@host:port/database \
             as a faster copy beside it; the store is always written and always decides. With Redis, \
             servers also count guesses together",
        )
        .default("store")
        .secret()
        .group("Sessions"),
        Setting::value("throttle-free", "COUNT", "Wrong guesses at an account from one network before waits begin, which double from a second")
            .default("20")
            .group("Guessing"),
        Setting::value("throttle-delay-max", "DURATION", "The longest of these waits")
            .default("15m")
            .group("Guessing"),
        Setting::value(
            "throttle-account",
            "COUNT",
            "Failures of an account in a row, from everywhere, before networks and devices that it does not know share \
             two attempts an hour, one of them for networks that have not failed there in 30 days",
        )
        .default("100")
        .group("Guessing"),
        Setting::value(
            "throttle-network",
            "COUNT",
            "Wrong guesses and unknown names a minute that one network may make, and as many registrations; ten times as \
             many at once. A network is an IPv4 address or an IPv6 /64; a /56 may make 4 times as many, a /48 16 times",
        )
        .default("10")
        .group("Guessing"),
        Setting::value(
            "throttle-exempt",
            "NETWORKS",
            "Addresses and networks that --throttle-network does not count, such as 10.0.0.0/8, separated by commas; \
             requests that a proxy brought are counted all the same",
        )
        .default("127.0.0.1,::1")
        .group("Guessing"),
        Setting::value(
            "throttle-memory",
            "SIZE",
            "Memory for all of this, at 24 bytes an entry, of which a login by IPv6 makes up to seven; taken as it is needed",
        )
        .default("32MiB")
        .group("Guessing"),
        Setting::switch(
            "uniform-auth-errors",
            "Answer an unknown user as a wrong password, after the same work",
        )
        .group("Guessing"),
        Setting::value("session-lifetime", "DURATION", "How long a session lives, however busy it is")
            .default("12h")
            .group("Sessions"),
        Setting::value(
            "session-idle",
            "DURATION",
            "How long a session lives without being used, counted to a tenth; at least four leases",
        )
        .default("30m")
        .group("Sessions"),
        Setting::value(
            "sessions-per-user",
            "COUNT",
            "Sessions that a user may have; with one more, the oldest ends",
        )
        .default("100")
        .group("Sessions"),
        Setting::value(
            "lease",
            "DURATION",
            "How long a front may answer for a session by itself; a logout takes this long. 0ms asks every time",
        )
        .default("250ms")
        .group("Sessions"),
        Setting::value(
            "node",
            "DATACENTER.MACHINE",
            "The part of ids that this server would like, 0.0 to 31.31. A server takes a free one by itself, also where \
             another has the one that it would like",
        )
        .group("Capacity"),
        Setting::value(
            "connections-max",
            "COUNT",
            "Connections of fronts open at a time; the default is lowered to what the limit of open files leaves",
        )
            .default("4096")
            .group("Capacity"),
        Setting::value("heavy-queue", "COUNT", "Requests that may wait for a hash; beyond them the answer is 503 at once")
            .default("256")
            .group("Capacity"),
        Setting::value(
            "queue-time-max",
            "DURATION",
            "Longest time for a hash and the wait for it, in turns of the networks that wait; what would take longer is a 503 at once",
        )
        .default("700ms")
        .group("Times"),
        Setting::value("light-threads", "COUNT", "Threads for requests that do not hash")
            .default("4")
            .group("Capacity"),
        Setting::value("light-queue", "COUNT", "Requests that may wait for such a thread")
            .default("4096")
            .group("Capacity"),
        Setting::value(
            "audit",
            "TARGET",
            "Where the audit log goes: a file, - for standard output, or off; by default audit.log in --data. Lines of \
             operators' commands go to audit-operators.log beside it, with - to standard error",
        )
        .group("Logs"),
        Setting::value(
            "audit-file-size",
            "SIZE",
            "How long the file of the audit log may become: then it is turned over, to audit.log.1, and that to audit.log.2",
        )
        .default("64MiB")
        .group("Logs"),
        Setting::value(
            "audit-files",
            "COUNT",
            "Files of the audit log, the one that is written to among them; the oldest goes when there are more",
        )
        .default("16")
        .group("Logs"),
        lifetime::DRAIN,
        lifetime::GRACE,
        log::LEVEL,
        log::FORMAT,
        pid_file::SETTING,
        hardening::ALLOW_CORE_DUMPS,
    ],
)
.made_with(&[("protocol", || framing::registry::RELEASE), ("sqlite", || store::sqlite_version())]);

/// The settings, checked.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where fronts connect.
    pub listen: SocketAddr,
    /// Where operators look.
    pub ops_listen: SocketAddr,
    /// Whether v1 is spoken.
    pub accept_v1: bool,
    /// Where keys are kept.
    pub data: PathBuf,
    /// Where users and sessions are kept.
    pub store: StoreUrl,
    /// Where the peppers come from.
    pub pepper_keys: KeySource,
    /// Where the keys of session tokens come from.
    pub token_keys: KeySource,
    /// Connections to the store.
    pub store_connections: usize,
    /// Whether a start brings an older store to this program's schema, if that was said; see
    /// [`Settings::migrates`].
    pub migrate: Option<bool>,
    /// The Redis that has a copy of the sessions, if there is one.
    pub redis: Option<RedisUrl>,
    /// What all servers of an installation have alike, as far as it was given here.
    pub shared: Shared,
    /// What accounts may be and how they are kept.
    pub rules: Rules,
    /// What new passwords have to be; [`crate::opening::password_rules`] opens the file.
    pub passwords: PasswordSettings,
    /// Who may try a password, and how often.
    pub guard: GuardRules,
    /// Whether it is kept secret which users there are.
    pub uniform_auth_errors: bool,
    /// Whether an engine that is faster than the reference may be used.
    pub hash_engine: EngineChoice,
    /// Hashes at a time.
    pub hash_threads: NonZeroUsize,
    /// How many hashes each of them computes together; none for as many as is best.
    pub hashes_per_thread: Option<NonZeroUsize>,
    /// Old records a second that logins may hash anew.
    pub rehash_rate: u32,
    /// The part of ids that this server would like.
    pub node: Option<NodeId>,
    /// Connections of fronts.
    pub connections_max: Wanted,
    /// Requests that may wait for a hash.
    pub heavy_queue: NonZeroUsize,
    /// How long one may wait for it.
    pub queue_time_max: Duration,
    /// The lane of requests that do not hash.
    pub light: LaneSize,
    /// How long a stop may take.
    pub stop_times: StopTimes,
    /// Where the audit log goes.
    pub audit: AuditTarget,
    /// When a file of it is turned over.
    pub audit_turning: Turning,
    /// Where the number of the process is written.
    pub pid_file: Option<PathBuf>,
    /// Logging.
    pub log: LogSettings,
    /// Whether memory may be dumped.
    pub core_dumps: CoreDumps,
}

/// What new passwords have to be, with the file still closed.
#[derive(Clone, Debug)]
pub struct PasswordSettings {
    /// How long they may be.
    pub policy: PasswordPolicy,
    /// Names of the service, none of which they may be made of.
    pub service_names: Vec<String>,
    /// Where those are that were stolen before.
    pub breached: Option<PathBuf>,
}

/// Which engine hashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EngineChoice {
    /// The fastest that agrees with the reference.
    Auto,
    /// The reference.
    Reference,
}

impl Settings {
    /// Checks what was given.
    ///
    /// # Errors
    /// Every setting that is not allowed.
    pub fn read(values: &Values<'_>) -> Result<Self, SettingErrors> {
        let count = |name, max| values.integer(name, NonZeroUsize::MIN..=max);
        let data = values.path("data");
        gather!(Self {
            listen: values.address("listen"),
            ops_listen: values.address("ops-listen"),
            accept_v1: values.boolean("accept-v1"),
            store: store_url(values, data.as_ref().ok()),
            pepper_keys: key_source(values, "pepper-keys", data.as_ref().ok()),
            token_keys: key_source(values, "token-keys", data.as_ref().ok()),
            audit: audit_target(values, data.as_ref().ok()),
            audit_turning: gather!(Turning {
                file_bytes_max: values
                    .bytes("audit-file-size", AUDIT_FILE_BYTES_MIN..=AUDIT_FILE_BYTES_CEILING),
                files: values.integer("audit-files", AUDIT_FILES_MIN..=AUDIT_FILES_MAX),
            }),
            pid_file: PidFile::read(values),
            data: data,
            store_connections: values
                .integer("store-connections", 1..=store::limits::CONNECTIONS_MAX),
            migrate: values.if_given("migrate", |name| values.boolean(name)),
            redis: values.parse_or_say("sessions", SESSIONS_WANT, sessions_place),
            shared: Shared::read(values),
            rules: gather!(Rules { params: params(values), sessions: session_rules(values) }),
            passwords: gather!(PasswordSettings {
                policy: password_policy(values),
                service_names: values.list(
                    "service-names",
                    &format!("up to {SERVICE_NAMES_MAX} different words"),
                    0..=SERVICE_NAMES_MAX,
                    service_name
                ),
                breached: values.if_given("breached-passwords", |name| values.path(name)),
            }),
            guard: guard_rules(values),
            uniform_auth_errors: values.boolean("uniform-auth-errors"),
            hash_engine: values.choice(
                "hash-engine",
                &[("auto", EngineChoice::Auto), ("reference", EngineChoice::Reference)],
            ),
            hash_threads: values.parse(
                "hash-threads",
                &format!("auto or a whole number from 1 to {HASH_THREADS_MAX}"),
                hash_threads
            ),
            hashes_per_thread: values.parse(
                "hashes-per-thread",
                &format!("auto or a whole number from 1 to {HASHES_PER_THREAD_MAX}"),
                hashes_per_thread
            ),
            rehash_rate: values.integer("rehash-rate", 0..=REHASH_RATE_MAX),
            node: values.if_given("node", |name| {
                values.parse(name, "DATACENTER.MACHINE, each from 0 to 31, such as 0.7", node)
            }),
            connections_max: Wanted::read(values, 1..=CONNECTIONS_MAX),
            heavy_queue: count("heavy-queue", QUEUE_MAX),
            queue_time_max: values
                .duration("queue-time-max", Duration::from_millis(10)..=QUEUE_TIME_MAX),
            light: gather!(LaneSize {
                threads: count("light-threads", LIGHT_THREADS_MAX),
                queue: count("light-queue", QUEUE_MAX),
            }),
            stop_times: StopTimes::read(values),
            log: LogSettings::read(values),
            core_dumps: CoreDumps::read(values),
        })
    }

    /// Whether a start brings an older store to this program's schema. A file has one server, and nobody's
    /// account but its own; a database has several, and an operator who decides when large tables change.
    #[must_use]
    pub fn migrates(&self) -> bool {
        self.migrate.unwrap_or(matches!(self.store, StoreUrl::Sqlite(_)))
    }
}

/// `data` is there unless it was refused, which is one error and not two.
fn store_url(values: &Values<'_>, data: Option<&PathBuf>) -> Result<StoreUrl, SettingError> {
    let want = "sqlite:PATH or mysql://user:password@host:port/database";
    let given = values.if_given("store", |name| values.parse_or_say(name, want, str::parse))?;
    Ok(given.unwrap_or_else(|| {
        StoreUrl::Sqlite(data.cloned().unwrap_or_default().join("users.sqlite"))
    }))
}

fn session_rules(values: &Values<'_>) -> Result<SessionRules, SettingErrors> {
    let lease = values.duration("lease", Duration::ZERO..=LEASE_MAX);
    let idle_min = lease.as_ref().map_or(IDLE_MIN, |lease| IDLE_MIN.max(*lease * IDLE_LEASES_MIN));
    gather!(SessionRules {
        lifetime: values.duration("session-lifetime", SESSION_LIFETIME_MIN..=SESSION_LIFETIME_MAX),
        idle: values.duration("session-idle", idle_min..=SESSION_LIFETIME_MAX),
        per_user: values.integer("sessions-per-user", 1..=PER_USER_MAX),
        lease: lease,
    })
}

const SESSIONS_WANT: &str = "store or redis://user:password@host:port/database";

fn sessions_place(text: &str) -> Result<Option<RedisUrl>, String> {
    match text.parse() {
        _ if text == "store" => Ok(None),
        Err(RedisUrlError::Scheme) => Err(format!("want {SESSIONS_WANT}")),
        parsed => parsed.map(Some).map_err(|error| error.to_string()),
    }
}

/// On unless somebody says otherwise: what happened before it was asked for cannot be had later.
fn audit_target(values: &Values<'_>, data: Option<&PathBuf>) -> Result<AuditTarget, SettingError> {
    let given = values.if_given("audit", |name| {
        let want = format!("a path, - or off; {OPERATORS_FILE} is the commands' own");
        let file = |text: &str| {
            let is_path = !text.is_empty() && !text.contains('\0');
            (is_path && !is_operators_file(text.as_ref())).then(|| AuditTarget::File(text.into()))
        };
        values.parse(name, &want, |text| match text {
            "off" => Some(AuditTarget::Off),
            "-" => Some(AuditTarget::StandardOutput),
            path => file(path),
        })
    })?;
    Ok(given
        .unwrap_or_else(|| AuditTarget::File(data.cloned().unwrap_or_default().join("audit.log"))))
}

/// `data` is there unless it was refused, which is one error and not two.
fn key_source(
    values: &Values<'_>,
    name: &'static str,
    data: Option<&PathBuf>,
) -> Result<KeySource, SettingError> {
    let want = "directory:PATH, environment:PREFIX of A-Z, 0-9 and _, or command:/PATH ARG…";
    let given = values.if_given(name, |name| values.parse(name, want, |text| text.parse().ok()))?;
    Ok(given.unwrap_or_else(|| {
        KeySource::Directory(KeyDirectory::at(data.cloned().unwrap_or_default().join("keys")))
    }))
}

fn params(values: &Values<'_>) -> Result<Params, SettingError> {
    let want = "parameters such as m=19456,t=2,p=1";
    let parse = if values.boolean("allow-weak-argon2")? {
        Params::parse_in_record
    } else {
        str::parse::<Params>
    };
    values.parse_or_say("argon2", want, parse)
}

fn password_policy(values: &Values<'_>) -> Result<PasswordPolicy, SettingErrors> {
    use credentials::limits::{
        PASSWORD_CHARS_CEILING, PASSWORD_CHARS_MAX_FLOOR, PASSWORD_CHARS_MIN_FLOOR,
    };
    let min =
        values.integer("password-chars-min", PASSWORD_CHARS_MIN_FLOOR..=PASSWORD_CHARS_MAX_FLOOR);
    let max =
        values.integer("password-chars-max", PASSWORD_CHARS_MAX_FLOOR..=PASSWORD_CHARS_CEILING);
    let mut errors = SettingErrors::none();
    match (errors.keep(min), errors.keep(max)) {
        (Some(min), Some(max)) => {
            Ok(PasswordPolicy::new(min, max).expect("both are within the policy's own bounds"))
        }
        _ => Err(errors),
    }
}

fn service_name(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

fn guard_rules(values: &Values<'_>) -> Result<GuardRules, SettingErrors> {
    use guard::limits::{
        ACCOUNT_FAILURES_FLOOR, ACCOUNT_FAILURES_MAX, DELAY_MAX_CEILING, DELAY_MAX_FLOOR,
        EXEMPT_MAX, FREE_MAX, MEMORY_MAX, MEMORY_MIN, NETWORK_PER_MINUTE_MAX,
    };
    let want = format!(
        "up to {EXEMPT_MAX} different addresses or networks such as 10.0.0.0/8, separated by commas"
    );
    gather!(GuardRules {
        free: values.integer("throttle-free", 1..=FREE_MAX),
        delay_max: values.duration("throttle-delay-max", DELAY_MAX_FLOOR..=DELAY_MAX_CEILING),
        account_failures: values
            .integer("throttle-account", ACCOUNT_FAILURES_FLOOR..=ACCOUNT_FAILURES_MAX),
        network_per_minute: values.integer("throttle-network", 1..=NETWORK_PER_MINUTE_MAX),
        exempt: values
            .list("throttle-exempt", &want, 0..=EXEMPT_MAX, |text| text.parse().ok())
            .map(Vec::into_boxed_slice),
        memory: values.bytes("throttle-memory", MEMORY_MIN..=MEMORY_MAX),
    })
}

fn hash_threads(text: &str) -> Option<NonZeroUsize> {
    if text == "auto" {
        return Some(available_cores());
    }
    whole_number(text).filter(|threads| *threads <= HASH_THREADS_MAX)
}

fn hashes_per_thread(text: &str) -> Option<Option<NonZeroUsize>> {
    if text == "auto" {
        return Some(None);
    }
    whole_number(text).filter(|count| *count <= HASHES_PER_THREAD_MAX).map(Some)
}

fn node(text: &str) -> Option<NodeId> {
    let (datacenter, machine) = text.split_once('.')?;
    NodeId::new(whole_number(datacenter)?, whole_number(machine)?).ok()
}

/// Digits alone: `FromStr` of integers takes a plus sign too.
fn whole_number<T: FromStr>(text: &str) -> Option<T> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit());
    if plain { text.parse().ok() } else { None }
}

#[cfg(test)]
pub(crate) mod tests;
