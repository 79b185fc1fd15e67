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
use service::hardening::{CoreDumps, available_cores};
use service::lifetime::StopTimes;
use service::log::LogSettings;
use service::pid_file::PidFile;
use service::settings::values::Values;
use service::settings::{SettingError, SettingErrors};
use store::{self, StoreUrl};

use crate::accounts::Rules;
use crate::audit::{AuditTarget, OPERATORS_FILE, Turning, is_operators_file};
use crate::limits::{
    AUDIT_FILE_BYTES_CEILING, AUDIT_FILE_BYTES_MIN, AUDIT_FILES_MAX, AUDIT_FILES_MIN,
    CONNECTIONS_MAX, HASH_THREADS_MAX, HASHES_PER_THREAD_MAX, LIGHT_THREADS_MAX, QUEUE_MAX,
    QUEUE_TIME_MAX, REHASH_RATE_MAX,
};

mod program;
mod rules;
pub mod shared;

pub use self::program::PROGRAM;
use self::rules::{guard_rules, session_rules};
pub use self::shared::{Shared, SharedRules, SharedValues};

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
