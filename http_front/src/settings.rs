//! What can be set, and the checked settings that the server starts from.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use addresses::Network;
use http1::limits::{HEAD_BYTES_MAX, HEAD_BYTES_MIN};
use service::descriptors::Wanted;
use service::gather;
use service::hardening::{self, CoreDumps, available_cores};
use service::lifetime::{self, StopTimes};
use service::log::{self, LogSettings};
use service::pid_file::{self, PidFile};
use service::settings::values::Values;
use service::settings::{Program, Setting, SettingError, SettingErrors};

use crate::limits::{
    AUTH_SERVERS_MAX, BUFFER_MEMORY_MAX, BUFFER_MEMORY_MIN, CONNECTIONS_MAX, IDLE_TIMEOUT_MAX,
    IDLE_TIMEOUT_MIN, QUEUE_TIME_MAX, TRUSTED_PROXIES_MAX,
};

/// The program and the table of its settings.
pub static PROGRAM: Program = Program::new(
    "http_front",
    env!("CARGO_PKG_VERSION"),
    "The HTTP server in front of auth_back",
    &[
        Setting::value("listen", "ADDRESS", "Where users' HTTP requests are taken")
            .default("127.0.0.1:8080")
            .group("Addresses"),
        Setting::value(
            "ops-listen",
            "ADDRESS",
            "Where /healthz, /readyz and /metrics are served; keep it off the internet",
        )
        .default("127.0.0.1:9080")
        .group("Addresses"),
        Setting::list("auth", "ADDRESSES", "The auth servers, used in turn")
            .default("127.0.0.1:7051")
            .group("Addresses"),
        Setting::list(
            "trusted-proxies",
            "NETWORKS",
            "Addresses or networks such as 10.0.0.0/8 whose X-Forwarded-For says where a user is",
        )
        .group("Addresses"),
        Setting::value("loops", "COUNT", "Event loops; auto is one for two cores")
            .default("auto")
            .group("Capacity"),
        Setting::value(
            "connections-max",
            "COUNT",
            "HTTP connections open at a time; the default is lowered to what the limit of open files leaves. With one more, \
             the longest idle one is closed",
        )
            .default("65536")
            .group("Capacity"),
        Setting::value(
            "connections-per-address-max",
            "COUNT",
            "HTTP connections open at a time from one address, or one /56 of IPv6, that is no trusted proxy's; a /48 may \
             have four times as many",
        )
        .default("4096")
        .group("Capacity"),
        Setting::value(
            "buffer-memory",
            "SIZE",
            "Memory for the buffers of all HTTP connections; when it is used up, those are closed that hold most and do not move. \
             auto is an eighth of the memory that the machine or control group has, at most 256MiB",
        )
        .default("auto")
        .group("Capacity"),
        Setting::value(
            "head-bytes-max",
            "SIZE",
            "Longest head of a request; longer ones are refused with 431, as are more than 100 headers",
        )
        .default("32KiB")
        .group("Capacity"),
        Setting::value(
            "heavy-threads",
            "COUNT",
            "Threads for requests that hash a password; each keeps up to --heavy-batch in flight",
        )
        .default("4")
        .group("Capacity"),
        Setting::value(
            "heavy-queue",
            "COUNT",
            "Requests that may wait for such a thread; beyond them the answer is 503 at once",
        )
        .default("64")
        .group("Capacity"),
        Setting::value(
            "heavy-batch",
            "COUNT",
            "Such requests on one upstream connection at a time",
        )
        .default("8")
        .group("Capacity"),
        Setting::value("light-threads", "COUNT", "Threads for all other requests")
            .default("4")
            .group("Capacity"),
        Setting::value("light-queue", "COUNT", "Requests that may wait for such a thread")
            .default("1024")
            .group("Capacity"),
        Setting::value(
            "light-batch",
            "COUNT",
            "Such requests on one upstream connection at a time",
        )
        .default("48")
        .group("Capacity"),
        Setting::value(
            "request-timeout",
            "DURATION",
            "From a request being read to its answer; what cannot be served by then is a 503",
        )
        .default("2s")
        .group("Times"),
        Setting::value(
            "queue-time-max",
            "DURATION",
            "Longest time for a hash and the wait for it, in turns of the networks that wait; what would take longer is a 503 at once",
        )
        .default("700ms")
        .group("Times"),
        Setting::value(
            "idle-timeout",
            "DURATION",
            "How long an HTTP connection may wait for its next request. Set it longer than the proxy in front keeps idle \
             connections to here (nginx: keepalive_timeout of the upstream block, 60s; most cloud balancers: 60s, Google's: \
             600s), so that the proxy closes first: a request that meets a close here is a 502 there",
        )
        .default("75s")
        .group("Times"),
        lifetime::DRAIN,
        lifetime::GRACE,
        log::LEVEL,
        log::FORMAT,
        pid_file::SETTING,
        hardening::ALLOW_CORE_DUMPS,
    ],
)
.made_with(&[("protocol", || framing::registry::RELEASE)]);

/// The settings, checked.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where users' requests are taken.
    pub listen: SocketAddr,
    /// Where operators look.
    pub ops_listen: SocketAddr,
    /// The auth servers.
    pub auth: Vec<SocketAddr>,
    /// Proxies that are believed when they say where a user is.
    pub trusted_proxies: Vec<Network>,
    /// Event loops.
    pub loops: NonZeroUsize,
    /// Connections open at a time.
    pub connections_max: Wanted,
    /// Connections open at a time from one address.
    pub connections_per_address_max: usize,
    /// Bytes that the head of a request may have.
    pub head_bytes_max: usize,
    /// Memory for buffers, in bytes; none for as much as suits the machine.
    pub buffer_memory: Option<u64>,
    /// The lane of requests that hash.
    pub heavy: LaneSize,
    /// The lane of all others.
    pub light: LaneSize,
    /// From reading a request to its answer.
    pub request_timeout: Duration,
    /// How long a request that hashes may wait for its turn.
    pub queue_time_max: Duration,
    /// How long a connection may wait for a request.
    pub idle_timeout: Duration,
    /// How long a stop may take.
    pub stop_times: StopTimes,
    /// Logging.
    pub log: LogSettings,
    /// Where the number of the process is written.
    pub pid_file: Option<PathBuf>,
    /// Whether memory may be dumped.
    pub core_dumps: CoreDumps,
}

/// The size of a lane.
#[derive(Clone, Copy, Debug)]
pub struct LaneSize {
    /// Its threads.
    pub threads: NonZeroUsize,
    /// Jobs that may wait.
    pub queue: NonZeroUsize,
    /// Jobs that a thread takes at a time.
    pub batch: NonZeroUsize,
}

impl Settings {
    /// Checks what was given.
    ///
    /// # Errors
    /// Every setting that is not allowed.
    pub fn read(values: &Values<'_>) -> Result<Self, SettingErrors> {
        let count = |name, max: usize| values.integer(name, NonZeroUsize::MIN..=nonzero(max));
        gather!(Self {
            listen: values.address("listen"),
            ops_listen: values.address("ops-listen"),
            auth: values.addresses("auth", 1..=AUTH_SERVERS_MAX),
            trusted_proxies: trusted_proxies(values),
            loops: values.parse("loops", "auto or a whole number from 1 to 64", loops),
            connections_max: Wanted::read(values, 1..=CONNECTIONS_MAX),
            connections_per_address_max: values
                .integer("connections-per-address-max", 1..=CONNECTIONS_MAX),
            head_bytes_max: head_bytes_max(values),
            buffer_memory: values
                .bytes_or_auto("buffer-memory", BUFFER_MEMORY_MIN..=BUFFER_MEMORY_MAX),
            heavy: gather!(LaneSize {
                threads: count("heavy-threads", 64),
                queue: count("heavy-queue", 65_536),
                batch: count("heavy-batch", 256),
            }),
            light: gather!(LaneSize {
                threads: count("light-threads", 64),
                queue: count("light-queue", 65_536),
                batch: count("light-batch", 256),
            }),
            request_timeout: values
                .duration("request-timeout", Duration::from_millis(10)..=Duration::from_secs(60),),
            queue_time_max: values
                .duration("queue-time-max", Duration::from_millis(10)..=QUEUE_TIME_MAX),
            idle_timeout: values.duration("idle-timeout", IDLE_TIMEOUT_MIN..=IDLE_TIMEOUT_MAX),
            stop_times: StopTimes::read(values),
            log: LogSettings::read(values),
            pid_file: PidFile::read(values),
            core_dumps: CoreDumps::read(values),
        })
    }

    /// Connections to each auth server: a worker holds one at a time, and the probe needs one as well.
    #[must_use]
    pub fn upstream_connections(&self) -> usize {
        self.heavy.threads.get() + self.light.threads.get() + 1
    }
}

fn trusted_proxies(values: &Values<'_>) -> Result<Vec<Network>, SettingError> {
    let want = format!(
        "up to {TRUSTED_PROXIES_MAX} different addresses or networks such as 10.0.0.0/8, \
         separated by commas"
    );
    let read = |name| values.list(name, &want, 0..=TRUSTED_PROXIES_MAX, |text| text.parse().ok());
    values.if_given("trusted-proxies", read).map(Option::unwrap_or_default)
}

fn head_bytes_max(values: &Values<'_>) -> Result<usize, SettingError> {
    let bytes = values.bytes("head-bytes-max", HEAD_BYTES_MIN as u64..=HEAD_BYTES_MAX as u64)?;
    Ok(usize::try_from(bytes).expect("it is within a range of usize"))
}

fn loops(text: &str) -> Option<NonZeroUsize> {
    if text == "auto" {
        // The other half is for workers and the kernel, and for auth_back where it runs beside this server.
        // A loop that shares its core waits for it, and one alone answers more than 100,000 requests a
        // second (BENCHMARKS.md, "Threads and loops").
        return NonZeroUsize::new(available_cores().get().div_ceil(2));
    }
    text.parse().ok().filter(|loops: &NonZeroUsize| loops.get() <= 64)
}

fn nonzero(count: usize) -> NonZeroUsize {
    NonZeroUsize::new(count).expect("an upper bound is not zero")
}

#[cfg(test)]
pub(crate) mod tests;
