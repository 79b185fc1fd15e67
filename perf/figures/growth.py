"""What a session check, a login and a start cost with 10,000 users and as many sessions, and with many more: on SQLite
up to ten million, on MariaDB a million. Users and sessions are filled in with the servers stopped, as rows that a server
would have written; sessions were begun over the last six hours, by random users, and live on. 5,000 users are genuine:
they were registered first, and the others have their ids between theirs. All 5,000 log in in turn, and checks are of 2,000
sessions of theirs, so both go all over the tables. A check is a view of the products with leases off, 64 connections. A
login has a hash that costs next to nothing (m=8, t=1), which is not taken off: 32 connections at saturation, then an open
loop at 0.8 of that rate. CPU time is that of auth_back. A start is from `exec` to the line that says where it listens, with
the same hash; the files are in the page cache. Three rounds for each size, medians; a ratio is of medians over
all pairs of rounds, and the spread is that of all pairs. MariaDB has a buffer pool that holds the data, as
docs/database.md says; what the default of 128 MiB costs is shown beside it. With ten million sessions in SQLite a check is
near the bound: a third of its time is the kernel's, which finds and copies pages of 5.5 GB. So readers keep 100 pages
themselves, not SQLite's default of 500: a page that is copied to memory which the processor's caches have lost costs more
than one that is copied again. In turn in one run, medians of six, µs with ten thousand and with ten million: 500 pages
16.3 and 30.3, 100 pages 16.4 and 27.7, 64 pages 16.5 and 28.6, 24 pages 15.6 and 28.4. Not taken: `mmap`. In another run,
four each, it gave 13.1 and 31.1 for 14.7 and 31.7, and logins with ten million cost 431 for 335 (two each); and with it a
disk error is SIGBUS, the end of the server, and not one 503.
"""

import contextlib
import os
import pathlib
import shutil
import sqlite3
import statistics
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from figures import common
from figures.results import Measured, Row, Table

TITLE = "Cost as it grows"
# It takes twenty minutes, six gigabytes of disk and, while it fills, of memory.
OPT_IN = True

SQLITE_SIZES = (10_000, 1_000_000, 10_000_000)
MARIADB_SIZES = (10_000, 1_000_000)
TRIAL_SIZES = (1_000, 10_000, 100_000)
GENUINE = 5_000
TOKENS = 2_000
ROUNDS = 3
STARTS = 5
FRACTION = 0.8
MOST = "<= 2.0"

# Sessions that are filled in live as long as new ones; nobody may have more than they may during the runs.
AUTH = {"ARGON2": "m=8,t=1,p=1", "ALLOW_WEAK_ARGON2": "true", "LEASE": "0ms", "SESSION_IDLE": "12h",
        "SESSIONS_PER_USER": 1_000}
LIFETIME_MS = 12 * 3_600_000
BEGUN_WITHIN_MS = 6 * 3_600_000
# Of an id: milliseconds since 2025, and 22 bits (auth_back/credentials/src/ids/snowflake.rs).
EPOCH_MS = 1_735_689_600_000
ID_BITS = 22

USER_AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
FILL_CACHE_KIB = 6 << 20
# Holds a million users and sessions, and those that begin during the runs.
FULL_POOL_BYTES = 2 << 30
DEFAULT_POOL_BYTES = 128 << 20
FILL_ROWS = 100_000
FLUSH_SECONDS_MAX = 120
MIB = 1 << 20


def prepare(_bench):
    common.shell("need_package mariadb mariadb-client-core")


def measure(bench):
    rows, table, notes = [], [], []
    for make, sizes, bound in (
        (_Sqlite, SQLITE_SIZES, MOST), (_MariaDb, MARIADB_SIZES, MOST), (_MariaDbByDefault, MARIADB_SIZES, "")
    ):
        sizes = TRIAL_SIZES if bench.trial else sizes
        with make() as store:
            found = {size: _measure_size(bench, store, size, sizes[0]) for size in sizes}
            notes.append(store.note())
        rows += _rows(store.NAME, bound, found)
        table += [result.cells(store.NAME, size) for size, result in found.items()]
    head = ["store", "users", "sessions", "MiB", "check: auth_back µs", "database µs", "checks/s", "login: auth_back µs",
            "database µs", "logins/s", "p50 at 0.8, ms", "p99 at 0.8, ms", "p99 at saturation, ms", "failed at 0.8, %", "start ms",
            "filling s"]
    return [*rows, Table("All sizes", head, table, " ".join(filter(None, notes)))]


@dataclass
class _Result:
    """What the rounds of one size gave."""

    fill_seconds: float
    starts_ms: list
    checks: list = field(default_factory=list)
    logins: list = field(default_factory=list)
    paced: list = field(default_factory=list)
    sessions: int = 0
    mib: float = 0

    def values(self):
        """What has a bound, by its name."""
        return {
            "CPU of a session check": ([load.cpu_us["auth_back"] for load in self.checks], "µs"),
            "CPU of a login without its hash": ([load.cpu_us["auth_back"] for load in self.logins], "µs"),
            "start": (self.starts_ms, "ms"),
            "p99 of logins at 0.8 of saturation": ([load.latency_us["p99"] / 1000 for load in self.paced], "ms"),
        }

    def failed(self):
        """Percent of the logins at 0.8 of saturation that were refused. Refusals are quick, so with many a p99 says little."""
        return 100 * sum(load.failed for load in self.paced) / sum(load.due for load in self.paced)

    def cells(self, store, size):
        def median(loads, key):
            return statistics.median(map(key, loads))

        def databases(loads):
            return "" if "database" not in loads[0].cpu_us else median(loads, lambda load: load.cpu_us["database"])

        return [
            store, size, self.sessions, self.mib,
            median(self.checks, lambda load: load.cpu_us["auth_back"]), databases(self.checks),
            median(self.checks, lambda load: load.per_second),
            median(self.logins, lambda load: load.cpu_us["auth_back"]), databases(self.logins),
            median(self.logins, lambda load: load.served_per_second),
            median(self.paced, lambda load: load.latency_us["p50"] / 1000),
            median(self.paced, lambda load: load.latency_us["p99"] / 1000),
            median(self.logins, lambda load: load.p99_ms),
            self.failed(), statistics.median(self.starts_ms), self.fill_seconds,
        ]


def _rows(store, bound, found):
    (smallest, small), *_, (largest, large) = found.items()
    rows = []
    for (what, (values, unit)), (before, _) in zip(large.values().items(), small.values().values(), strict=True):
        ratio = Measured.of(value / base for value in values for base in before)
        context = f"{statistics.median(before):.3g} {unit} and {statistics.median(values):.3g}"
        if "p99" in what:
            context += f"; {small.failed():.1f} and {large.failed():.1f}% refused"
        rows.append(
            Row.of(f"{store}, {largest:,} users and sessions against {smallest:,}: {what}", bound, ratio, context=context)
        )
    return rows


def _measure_size(bench, store, size, smallest):
    genuine = min(GENUINE, smallest // 2)
    if size == smallest:
        with store.system(bench) as system, ThreadPoolExecutor(8) as threads:
            list(threads.map(system.register, (f"user-{number}" for number in range(genuine))))
    began = time.monotonic()
    store.fill(size)
    seconds = time.monotonic() - began
    starts = [store.start() for _ in range(1 + (2 if bench.trial else STARTS))][1:]
    result = _Result(seconds, starts)
    with store.system(bench) as system:
        with ThreadPoolExecutor(8) as threads:
            wanted = min(TOKENS, genuine)
            names = (f"user-{number * genuine // wanted}" for number in range(wanted))
            system.know(genuine, list(threads.map(system.log_in, names)))
        servers = system.processes() | ({"database": store.database} if store.database else {})
        begun_ms = int(time.time() * 1000) + 1
        for warm_up in (True, *[False] * (1 if bench.trial else ROUNDS)):
            checks = common.wrk(
                system.base, "products", 64, bench.seconds(3), servers, TOKENS_FILE=system.scratch / "tokens"
            )
            logins = common.wrk(
                system.base, "authenticate", 32, bench.seconds(5), servers, errors_allowed=True, USERS=genuine
            )
            # At saturation a few may be refused. With many, it would be no login that is measured.
            if logins.errors > logins.requests / 100:
                raise RuntimeError(f"{logins.errors} of {logins.requests} logins at saturation failed")
            if warm_up:
                store.forget_logins(size, begun_ms)
                continue
            result.checks.append(checks)
            result.logins.append(logins)
            rate = logins.served_per_second * FRACTION
            result.paced.append(system.open_loop(system.logins(), rate, bench.seconds(8), connections=256))
            store.forget_logins(size, begun_ms)
        result.sessions, result.mib = store.sessions(), store.mib()
    return result


class _Store:
    """A store that outlives the servers on it, and is removed at the end."""

    database = None

    def __enter__(self):
        with contextlib.ExitStack() as ends:
            self.directory = pathlib.Path(tempfile.mkdtemp(prefix="gatehouse-bench-"))
            ends.callback(shutil.rmtree, self.directory, ignore_errors=True)
            self.begin(ends)
            self._ends = ends.pop_all()
        return self

    def __exit__(self, *_):
        self._ends.close()

    def system(self, bench):
        # Where it keeps users is for its settings to say.
        return bench.system(auth=AUTH | self.settings, data=self.directory)

    def start(self):
        """Milliseconds from `exec` to listening."""
        settings = {f"AUTH_BACK_{name}": value for name, value in (AUTH | self.settings).items()}
        command = [common.TARGET / "auth_back", "--listen", "127.0.0.1:0", "--ops-listen", "127.0.0.1:0"]
        command += ["--data", self.directory, "--drain", "0s"]
        began = time.perf_counter()
        with common.Process(command, settings, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
            line = server.stdout.readline()
            ms = (time.perf_counter() - began) * 1_000
            if not line.startswith("listening"):
                raise RuntimeError("auth_back does not start")
        return ms

    def fill(self, size):
        """Adds users between those that are there, and sessions of theirs, until there are `size` of each."""
        now_ms = int(time.time() * 1000)
        (users, first, last), (record,) = self.row("SELECT COUNT(*), MIN(id), MAX(id) FROM user"), self.row(
            "SELECT password_record FROM user WHERE username = 'user-0'"
        )
        missing = size - users
        # Ids that are taken already are passed over, and are users as well: sessions may be theirs. A start of its own for
        # each filling has that happen seldom.
        step, start = (last - first) // missing, first + users
        self.insert(
            "user", "id, username, password_record, created_at_ms", missing,
            lambda n: f"{start} + {n} * {step}, {self.hex(12)}, '{record}', {now_ms}",
        )
        missing_sessions = max(0, size - self.sessions())
        begun = now_ms - BEGUN_WITHIN_MS
        self.insert(
            "session", "token_digest, id, user_id, created_at_ms, last_seen_at_ms, expires_at_ms, ends_at_ms, client_address, "
            "user_agent", missing_sessions,
            lambda n: ", ".join([
                self.bytes(32),
                f"(({begun - EPOCH_MS} + {self.part(n, missing_sessions)}) * {1 << ID_BITS} + {n} % {1 << ID_BITS})",
                f"{start} + {self.random(missing)} * {step}",
                *[f"{begun} + {self.part(n, missing_sessions)}"] * 2,
                *[f"{begun + LIFETIME_MS} + {self.part(n, missing_sessions)}"] * 2,
                "'192.0.2.1'", f"'{USER_AGENT}'",
            ]),
        )
        self.settle()
        for table in ("user", "session"):
            (count,) = self.row(f"SELECT COUNT(*) FROM {table}")
            # Some ids may have been taken.
            if count < 0.99 * size:
                raise RuntimeError(f"{count} rows in {table}, wanted {size}")

    def part(self, number, count):
        """Of the time in which sessions were begun, in milliseconds: they come in the order of time."""
        return f"({number} * {BEGUN_WITHIN_MS} {self.DIVIDED} {count})"

    def forget_logins(self, size, since_ms):
        """Removes the sessions that were begun since, where they are so many that the size is another."""
        if self.sessions() > size * 1.5:
            self.remove(f"DELETE FROM session WHERE expires_at_ms >= {since_ms + LIFETIME_MS}")

    def sessions(self):
        return self.row("SELECT COUNT(*) FROM session")[0]


class _Sqlite(_Store):
    NAME, DIVIDED = "SQLite", "/"
    settings = {}

    def begin(self, _ends):
        self._file = self.directory / "users.sqlite"

    def row(self, sql):
        with contextlib.closing(sqlite3.connect(self._file, timeout=60)) as connection:
            return connection.execute(sql).fetchone()

    def insert(self, table, columns, count, values):
        with contextlib.closing(sqlite3.connect(self._file, isolation_level=None)) as connection:
            # No server runs, and what a power cut spoils is made anew. The next server turns the log on again.
            connection.execute("PRAGMA journal_mode = OFF").fetchone()
            connection.execute("PRAGMA synchronous = OFF")
            connection.execute(f"PRAGMA cache_size = -{FILL_CACHE_KIB}")
            connection.execute("BEGIN")
            connection.execute(
                f"WITH RECURSIVE number (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM number LIMIT {count}) "
                f"INSERT OR IGNORE INTO {table} ({columns}) SELECT {values('n')} FROM number"
            )
            connection.execute("COMMIT")

    def remove(self, sql):
        with contextlib.closing(sqlite3.connect(self._file, timeout=60, isolation_level=None)) as connection:
            connection.execute(sql)
            # Or the next commit of the server would carry all of it into the file.
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()

    def settle(self):
        os.sync()

    def mib(self):
        return self._file.stat().st_size / MIB

    def note(self):
        return ""

    @staticmethod
    def bytes(count):
        return f"randomblob({count})"

    @staticmethod
    def hex(count):
        return f"lower(hex(randomblob({count})))"

    @staticmethod
    def random(below):
        return f"((random() & {2**62 - 1}) % {below})"


class _MariaDb(_Store):
    NAME, DIVIDED = "MariaDB", "DIV"
    # While the servers run.
    POOL_BYTES = FULL_POOL_BYTES

    def begin(self, ends):
        # A pool grows so far at the most; releases that know no such bound pass it over.
        told = ends.enter_context(
            common.Harness("mariadb", f"--loose-innodb-buffer-pool-size-max={FULL_POOL_BYTES}")
        ).told
        self._url = told["url"]
        self.settings = {"STORE": f"{self._url}/gatehouse"}
        self.database = common.Pid(told["pid"])
        self._set("innodb_buffer_pool_size", self.POOL_BYTES)

    def sql(self, text):
        host, _, port = self._url.rpartition("@")[2].partition(":")
        command = ["mariadb", "--no-defaults", f"--host={host}", f"--port={port}", "--user=root", "--batch",
                   "--skip-column-names", "gatehouse"]
        return subprocess.run(command, input=text, stdout=subprocess.PIPE, check=True, text=True).stdout

    def row(self, sql):
        cells = self.sql(sql).split("\n", 1)[0].split("\t")
        return [int(cell) if cell.isdecimal() else cell for cell in cells]

    def insert(self, table, columns, count, values):
        self._set("innodb_buffer_pool_size", FULL_POOL_BYTES)
        statements = ["SET unique_checks = 0, foreign_key_checks = 0;"]
        for begin in range(0, count, FILL_ROWS):
            end = min(begin + FILL_ROWS, count) - 1
            statements.append(f"INSERT IGNORE INTO {table} ({columns}) SELECT {values('seq')} FROM seq_{begin}_to_{end};")
        self.sql("\n".join(statements))

    def remove(self, sql):
        self.sql(sql)

    def settle(self):
        """Has all pages written, and its memory as it was."""
        self._set("innodb_max_dirty_pages_pct", 0)
        self._wait("Innodb_buffer_pool_pages_dirty", lambda pages: int(pages) < 100)
        self._set("innodb_max_dirty_pages_pct", "DEFAULT")
        self._set("innodb_buffer_pool_size", self.POOL_BYTES)
        self._wait("Innodb_buffer_pool_pages_total", lambda pages: int(pages) * 16_384 <= self.POOL_BYTES)
        os.sync()

    def _set(self, name, value):
        self.sql(f"SET GLOBAL {name} = {value}")

    def _wait(self, name, is_done):
        deadline = time.monotonic() + FLUSH_SECONDS_MAX
        while not is_done(self.row(f"SHOW GLOBAL STATUS LIKE '{name}'")[1]):
            if time.monotonic() > deadline:
                raise RuntimeError(f"{name} of MariaDB does not settle")
            time.sleep(0.2)

    def mib(self):
        return float(self.row(
            "SELECT ROUND(SUM(file_size) / 1048576) FROM information_schema.innodb_sys_tablespaces WHERE name LIKE 'gatehouse/%'"
        )[0])

    def note(self):
        return "MariaDB reads around the page cache: what is not in its buffer pool comes from the disk."

    @staticmethod
    def bytes(count):
        return f"RANDOM_BYTES({count})"

    @staticmethod
    def hex(count):
        return f"LOWER(HEX(RANDOM_BYTES({count})))"

    @staticmethod
    def random(below):
        return f"FLOOR(RAND() * {below})"


class _MariaDbByDefault(_MariaDb):
    NAME = "MariaDB with 128 MiB"
    POOL_BYTES = DEFAULT_POOL_BYTES

    def note(self):
        return ""
