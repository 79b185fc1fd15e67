"""What figures measure with: private systems and other servers, wrk, CPU time and memory, pairs.

Nothing here compiles anything: perf/bench builds before it measures.
"""

import contextlib
import http.client
import json
import os
import pathlib
import re
import resource
import shutil
import signal
import statistics
import struct
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from figures.results import Measured

ROOT = pathlib.Path(__file__).resolve().parents[2]
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release"
PERF_TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "perf/target")) / "release"
PASSWORD = "correct horse battery"

_TICK_US = 1_000_000 // os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_STOP_SECONDS_MAX = 15


def own_cpu_us():
    """CPU time of this program and of everything that it started and that has ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used) * 1e6


def machine_us(text=None):
    """Since boot, over all cores, in microseconds: (all time, busy, taken away by the host)."""
    text = text or pathlib.Path("/proc/stat").read_text()
    # user nice system idle iowait irq softirq steal; guests are in user.
    ticks = [int(word) for word in text.split("\n", 1)[0].split()[1:9]]
    idle, steal = ticks[3] + ticks[4], ticks[7]
    return tuple(part * _TICK_US for part in (sum(ticks), sum(ticks) - idle - steal, steal))


class Bench:
    """What `measure` is given: starts things, ends them, and knows whether this is a trial only."""

    def __init__(self, trial=False):
        self.trial = trial

    def system(self, store="sqlite", sessions="store", front=None, auth=None, wrapper=(), data=None):
        """A private Gatehouse, to be used in a `with`. See System."""
        return System(store, sessions, front or {}, auth or {}, wrapper, data)

    def seconds(self, wanted):
        """How long a load runs: as wanted, or a second in a trial."""
        return min(wanted, 1) if self.trial else wanted

    def pairs(self, a, b, n=5):
        """Runs a() and b() in turn, n times each (2 in a trial)."""
        n = 2 if self.trial else n
        run = Pairs([], [])
        for _ in range(n):
            run.a.append(a())
            run.b.append(b())
        return run


@dataclass
class Pairs:
    """What two things gave that were run in turn. `key` takes the number out of one run's result."""

    a: list
    b: list

    def ratio(self, key=lambda result: result):
        """a / b of each pair: median and spread."""
        return Measured.of(key(a) / key(b) for a, b in zip(self.a, self.b, strict=True))

    def median_a(self, key=lambda result: result):
        return statistics.median(key(result) for result in self.a)

    def median_b(self, key=lambda result: result):
        return statistics.median(key(result) for result in self.b)


class Pid:
    """A process that is measured, by its number."""

    def __init__(self, pid):
        self.pid = int(pid)

    def cpu_us(self):
        """CPU time so far, user and system, in microseconds (to a clock tick, usually 10 ms)."""
        return cpu_us(self.pid)

    def rss_bytes(self):
        return rss_bytes(self.pid)


class Process(Pid):
    """A process that was started to be measured. Ends with its `with`."""

    def __init__(self, command, env=None, cwd=ROOT, **popen):
        """Its output goes to standard error unless `popen` says otherwise."""
        popen = {"stdin": subprocess.DEVNULL, "stdout": 2} | popen
        self.command = [str(word) for word in command]
        self._popen = subprocess.Popen(self.command, env=os.environ | _words(env or {}), cwd=cwd, **popen)
        super().__init__(self._popen.pid)
        self.stdout = self._popen.stdout

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self, how=signal.SIGTERM):
        """Asks it to end, and makes it end if it does not."""
        if self._popen.poll() is None:
            self._popen.send_signal(how)
            try:
                self._popen.wait(_STOP_SECONDS_MAX)
            except subprocess.TimeoutExpired:
                self._popen.kill()
        return self._popen.wait()

    def kill(self):
        """Ends it at once: SIGKILL."""
        self._popen.kill()
        return self._popen.wait()

    def wait(self, seconds):
        return self._popen.wait(seconds)

    def runs(self):
        return self._popen.poll() is None


class Harness(Process):
    """A run of `harness WORD...`, which starts private servers (`harness --help`), with settings of theirs in
    `env`. `told` is what it says of them. They end with this program, however it ends: it holds the standard
    input of the harness open."""

    def __init__(self, *words, env=None):
        super().__init__([TARGET / "harness", *words], env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        # Up to the end, which comes when all is told.
        self.told = dict(line.split("=", 1) for line in self.stdout.read().splitlines())
        if not self.told:
            self.stop()
            raise RuntimeError(f"harness {' '.join(map(str, words))} does not start")


class System:
    """A private Gatehouse: own ports, own data under a temporary directory, default settings.

    store     sqlite, or mysql for a private MariaDB
    sessions  store, or redis for a private Redis
    front     further settings of http_front by their names in SETTINGS.md: {"LOOPS": 1}
    auth      the same for auth_back: {"LEASE": "0ms"}
    wrapper   words in front of both servers' command lines, such as ("taskset", "1")
    data      a directory for keys and the SQLite file that is there before and after; None for one of its own

    In the `with`: base (http://ADDRESS), rpc (ADDRESS of auth_back), front, auth, database and redis (Pid; None for what there is none of;
    database_url without a database's name), data (directory).
    """

    def __init__(self, store, sessions, front, auth, wrapper, data):
        self.store, self.sessions, self._wrapper, self._data = store, sessions, wrapper, data
        self._front, self._auth = front, auth
        self._ends = contextlib.ExitStack()
        self.tokens = []
        self._runs = 0
        self._registered = 0

    def __enter__(self):
        with contextlib.ExitStack() as ends:
            self.scratch = pathlib.Path(tempfile.mkdtemp(prefix="gatehouse-bench-"))
            ends.callback(shutil.rmtree, self.scratch, ignore_errors=True)
            self.data = self._data or self.scratch / "data"
            settings = {"HTTP_FRONT_" + key: value for key, value in ({"LOG_LEVEL": "warn"} | self._front).items()}
            settings |= {"AUTH_BACK_" + key: value for key, value in ({"LOG_LEVEL": "warn"} | self._auth).items()}
            words = ["--store", self.store, "--sessions", self.sessions, "--data", self.data]
            for word in self._wrapper:
                words += ["--wrap", word]
            told = ends.enter_context(Harness("system", *words, env=settings)).told
            self.base, self.rpc, self.database_url = told["base"], told["auth_rpc"], told.get("mariadb_url")
            self.front, self.auth, self.database, self.redis = (
                Pid(told[name + "_pid"]) if name + "_pid" in told else None
                for name in ("front", "auth", "mariadb", "redis")
            )
            self._ends = ends.pop_all()
        return self

    def __exit__(self, *_):
        self._ends.close()

    def populate(self, users=32, viewers=32, together=4):
        """Registers user-0 … who log in again and again (USERS of perf/wrk), and viewer-0 …, whose tokens
        look at the products (`tokens`, and TOKENS_FILE of perf/wrk). They are others because who logs in
        again and again ends their own oldest sessions."""
        names = [f"user-{i}" for i in range(users)] + [f"viewer-{i}" for i in range(viewers)]
        with ThreadPoolExecutor(together) as threads:
            list(threads.map(self.register, names))
            tokens = list(threads.map(self.log_in, names[users:]))
        self.know(users, tokens)
        return tokens

    def know(self, users, tokens):
        """Tells what is there already: user-0 … and sessions."""
        self.users, self.tokens = users, tokens
        (self.scratch / "tokens").write_text("".join(token + "\n" for token in tokens))

    def register(self, name):
        headers = {}
        if "TRUSTED_PROXIES" in self._front:
            # Each from a network of its own: one registers only so many users at a time.
            self._registered += 1
            headers["X-Forwarded-For"] = f"198.18.{self._registered // 250}.{self._registered % 250 + 1}"
        self.post("register", {"username": name, "password": PASSWORD}, headers)

    def log_in(self, name):
        """Logs in and returns the token."""
        return self.post("authenticate", {"username": name, "password": PASSWORD})["token"]

    def post(self, route, body, headers=None):
        """The answer to POST, which has to be 200."""
        connection = http.client.HTTPConnection(self.base.removeprefix("http://"), timeout=30)
        with contextlib.closing(connection):
            headers = {"Content-Type": "application/json"} | (headers or {})
            connection.request("POST", f"/open_api/v1/{route}", json.dumps(body), headers)
            answer = connection.getresponse()
            text = answer.read()
            if answer.status != 200:
                raise RuntimeError(f"{route}: {answer.status} {text.decode(errors='replace')}")
            return json.loads(text)

    def processes(self):
        """The two servers by name, as `wrk` and `Cpu` want them."""
        return {"http_front": self.front, "auth_back": self.auth}

    def wrk(self, script, connections, seconds, errors_allowed=False, **env):
        """Runs perf/wrk/SCRIPT.lua against it; `populate` comes first."""
        self._runs += 1
        env = {"USERS": self.users, "TOKENS_FILE": self.scratch / "tokens", "RUN": f"run-{self._runs}"} | env
        return wrk(self.base, script, connections, seconds, self.processes(), errors_allowed, **env)

    def open_loop(self, requests, rate, seconds, connections=64, warm_up=1, **flags):
        """Runs perf/load against it: see `open_loop` below. `requests` come from products() or logins()."""
        base = flags.pop("base", self.base)
        return open_loop(base, requests, rate, seconds, connections, warm_up, self.processes(), **flags)

    def products(self):
        """Raw requests that view the products, one a token."""
        return [raw_request("GET", "products", {"Authorization": f"Bearer {token}"}) for token in self.tokens]

    def logins(self):
        """Raw requests that log in, one a user."""
        return [
            raw_request("POST", "authenticate", {}, {"username": f"user-{i}", "password": PASSWORD})
            for i in range(self.users)
        ]


@dataclass
class Load:
    """What a run of wrk gave. Latencies in microseconds; cpu_us is CPU time a request, by server."""

    requests: int
    seconds: float
    p50_us: float
    p90_us: float
    p99_us: float
    max_us: float
    errors: int
    cpu_us: dict = field(default_factory=dict)

    @property
    def per_second(self):
        return self.requests / self.seconds

    @property
    def served_per_second(self):
        """Without those that were answered with an error."""
        return (self.requests - self.errors) / self.seconds

    @property
    def p99_ms(self):
        return self.p99_us / 1000


def wrk(base, script, connections, seconds, servers=None, errors_allowed=False, threads=1, **env):
    """Runs wrk, closed loop, and gives a Load.

    `script` is a name in perf/wrk, a path to another script whose `done` prints common.done's line, or None for
    plain GETs of `base`. One thread by default: the servers need the other core. `servers` ({name: Process})
    are those whose CPU time is taken. An answer that is no 2xx or 3xx, and a broken connection, is an error.
    """
    words = ["wrk", "--threads", threads, "--connections", connections, "--duration", f"{seconds}s"]
    words += ["--timeout", "10s", "--latency"]
    if script:
        words += ["--script", script if os.sep in str(script) else f"{script}.lua"]
    cpu = Cpu(servers or {})
    environment = os.environ | _words({"PASSWORD": PASSWORD, "RUN": "run"} | env)
    run = subprocess.run(
        [str(word) for word in [*words, base]], cwd=ROOT / "perf/wrk", env=environment, capture_output=True, text=True
    )
    used = cpu.used_us()
    if run.returncode != 0:
        raise RuntimeError(f"wrk: {run.stdout}{run.stderr}")
    load = parse_wrk(run.stdout)
    if load.errors and not errors_allowed:
        raise RuntimeError(f"wrk saw errors: {run.stdout}")
    load.cpu_us = {name: us / load.requests for name, us in used.items()}
    return load


@dataclass
class OpenLoad:
    """What a run of perf/load gave. Latencies in microseconds, from when a request was due (latency_us) or sent
    (sent_latency_us), by percentile: "p50", "p75", "p90", "p99", "p999", "p9999", "max". `histogram_us` has pairs of
    a latency and a count. `cpu_us` is CPU time a request, by server; "load" is the generator itself."""

    due: int
    answered_per_second: float
    kept_up: bool
    failed: int
    statuses: dict
    waited: int
    late: int
    latency_us: dict
    sent_latency_us: dict
    lateness_us: dict
    histogram_us: list
    cpu_us: dict


def open_loop(base, requests, rate, seconds, connections=64, warm_up=1, servers=None, timeout=10):
    """Sends raw requests (bytes) in turn, `rate` a second whatever the answers take, with perf/load.

    The caller looks at `failed` and `kept_up`: neither raises an error here.
    """
    words = [PERF_TARGET / "load", "--address", base.removeprefix("http://"), "--requests", "/dev/stdin"]
    words += ["--rate", rate, "--seconds", seconds, "--warm-up", warm_up]
    words += ["--connections", connections, "--timeout", timeout]
    cpu = Cpu(servers or {})
    run = subprocess.run([str(word) for word in words], input=b"".join(requests), stdout=subprocess.PIPE)
    used = cpu.used_us()
    if run.returncode not in (0, 3):
        raise RuntimeError(f"perf/load ended with {run.returncode}")
    report = json.loads(run.stdout)
    sent = rate * (seconds + warm_up) - report["unsent"]
    kept = {name: report[name] for name in OpenLoad.__dataclass_fields__ if name != "cpu_us"}
    used["load"] = report["generator_cpu_us"]
    return OpenLoad(**kept, cpu_us={name: us / sent for name, us in used.items()})


def raw_request(method, route, fields, body=None):
    """A request of the API as it goes over the wire."""
    text = "" if body is None else json.dumps(body)
    if body is not None:
        fields = fields | {"Content-Type": "application/json", "Content-Length": len(text)}
    lines = [f"{method} /open_api/v1/{route} HTTP/1.1", "Host: localhost"]
    lines += [f"{name}: {value}" for name, value in fields.items()]
    return ("\r\n".join([*lines, "", ""]) + text).encode()


def v1_login(name):
    """A login in version 1 of auth_back's own protocol, as it goes over the wire (framing/PROTOCOL.md)."""
    texts = b"".join(struct.pack(">H", len(text)) + text for text in (name.encode(), PASSWORD.encode(), b""))
    return b"\x04AUTH" + texts + b"\0"


def percentile(histogram, percent):
    """The latency up to which `percent` of the counts are, in a merge of [latency, count] pairs."""
    ordered = sorted((value, count) for value, count in histogram)
    wanted = sum(count for _, count in ordered) * percent / 100
    seen = 0
    for value, count in ordered:
        seen += count
        # As far as floating point tells; the last one is always enough.
        if seen >= wanted - 1e-6:
            return value
    raise ValueError("a percentile of nothing")


_UNITS_US = {"us": 1, "ms": 1000, "s": 1_000_000, "m": 60_000_000}


def parse_wrk(text):
    """Reads wrk's output: the RESULT line of perf/wrk's scripts, or its own words with --latency."""
    result = re.search(r"^RESULT ((?:\d+ ?){7})$", text, re.MULTILINE)
    if result:
        requests, us, p50, p90, p99, most, errors = map(int, result[1].split())
        load = Load(requests, us / 1e6, p50, p90, p99, most, errors)
    else:
        total = re.search(r"(\d+) requests in ([\d.]+)(us|ms|s|m)", text)
        if not total:
            raise RuntimeError(f"wrk did not end as expected: {text}")
        points = {p: float(v) * _UNITS_US[u] for p, v, u in re.findall(r"(50|90|99)%\s+([\d.]+)(us|ms|s|m)\b", text)}
        most = re.search(r"Latency\s+\S+\s+\S+\s+([\d.]+)(us|ms|s|m)\b", text)
        errors = sum(map(int, re.findall(r"Non-2xx or 3xx responses: (\d+)", text)))
        for line in re.findall(r"Socket errors: (.*)", text):
            errors += sum(map(int, re.findall(r"\d+", line)))
        load = Load(
            int(total[1]), float(total[2]) * _UNITS_US[total[3]] / 1e6, points.get("50", 0), points.get("90", 0),
            points.get("99", 0), float(most[1]) * _UNITS_US[most[2]] if most else 0, errors,
        )
    if load.requests == 0:
        raise RuntimeError(f"no request was answered: {text}")
    return load


class Cpu:
    """CPU time of processes from now on: Cpu({"a": process}).used_us() -> {"a": microseconds}."""

    def __init__(self, processes):
        self._processes = processes
        self._begin = {name: process.cpu_us() for name, process in processes.items()}

    def used_us(self):
        return {name: process.cpu_us() - self._begin[name] for name, process in self._processes.items()}


def cpu_us(pid):
    # The name in parentheses may hold blanks; what follows it does not. utime and stime are fields 14 and
    # 15 of proc(5), the 12th and 13th after the name.
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * _TICK_US


def rss_bytes(pid):
    return int(pathlib.Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE


def shell(script, **env):
    """Runs lines of bash in the repository's root with perf's functions sourced (need_package …)."""
    lines = f"set -euo pipefail; source perf/packages.sh\n{script}"
    return subprocess.run(
        ["bash", "-c", lines], cwd=ROOT, env=os.environ | _words(env), check=True, stdout=subprocess.PIPE, text=True
    ).stdout


def raise_file_limit():
    """As many open files as the hard limit allows, for this process and those it starts."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def _words(env):
    return {key: str(value) for key, value in env.items()}
