//! Every setting of the server.

use service::hardening::{self};
use service::lifetime::{self};
use service::log::{self};
use service::pid_file::{self};
use service::settings::{Program, Setting};
use store::{self};

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
