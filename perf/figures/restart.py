"""`kill -9` of auth_back, 20 times on SQLite and 20 on MariaDB, and how long it is away: from `exec` of the next process to
the first 200 of its `/readyz`, asked on a new connection as soon as the last answer is there. `/readyz` says 200 when the
store and the hashes answer. The directory of `--data`, the database and the port stay; each process gets logins, one at
a time over its front, for half a second and is killed while one is under way. So the next one finds a write-ahead log to
recover and its own node leased. Between kills, the user who had logged in before the first one logs in again and uses
the oldest session.

Then two auth_backs without `--node`, with an http_front each and data of their own but the same keys, start on one new
MariaDB, and for a minute 50 registrations a second are due at each front (open loop: threads enough that one is always
idle; hashes of m=64, t=1, since what is measured is not hashing). The ids are compared as the answers give them, and
the users counted in the database afterwards.
"""

import contextlib
import http.client
import itertools
import json
import pathlib
import signal
import socket
import subprocess
import tempfile
import threading
import time

from figures import common
from figures.results import Measured, Row, Table

TITLE = "Killed and back"

KILLS = 20
READY_SECONDS_MAX = 10
# More than all logins of the one user come to: the first session must not make room.
SESSIONS = 1000
# Registrations: at each front a second, how long, and how many may be under way.
RATE, SECONDS, THREADS = 50, 60, 32
CHEAP = {"ARGON2": "m=64,t=1,p=1", "ALLOW_WEAK_ARGON2": "true"}


def measure(bench):
    rows, table = [], []
    for name, away in (("SQLite", _on_sqlite(bench)), ("MariaDB", _on_mariadb(bench))):
        measured = Measured.of(away)
        rows.append(Row.of(f"auth_back on {name}: exec to ready after kill -9", "< 200", measured, unit="ms",
                           context=f"{len(away)} kills"))
        table.append([name, len(away), measured.low, measured.value, measured.high])
    head = ["store", "kills", "quickest ms", "median ms", "slowest ms"]
    return [*rows, Table("From exec to a /readyz that says 200", head, table), *_two_servers(bench)]


def _on_sqlite(bench):
    with _scratch() as scratch:
        return _kills(bench, scratch, [])


def _on_mariadb(bench):
    with _scratch() as scratch, common.Harness("mariadb") as mariadb:
        return _kills(bench, scratch, ["--store", f"{mariadb.told['url']}/gatehouse"])


def _kills(bench, scratch, store):
    """Milliseconds from exec to ready, for each kill."""
    away = []
    ports = [f"127.0.0.1:{free_port()}" for _ in range(2)]
    back = Back(scratch / "data", [*store, "--sessions-per-user", str(SESSIONS)], *ports)
    with contextlib.ExitStack() as ends:
        ends.callback(lambda: back.stop())
        back.start()
        front = ends.enter_context(Front(ports[0]))
        front.wait_until_ready()
        front.post("register", {"username": "ada", "password": common.PASSWORD})
        oldest = front.log_in()
        for _ in range(2 if bench.trial else KILLS):
            _serve_and_kill(back, front)
            away.append(back.start())
            front.wait_until_ready()
            front.log_in()
            front.check_session(oldest)
    return away


def _serve_and_kill(back, front):
    """Has it serve logins, and kills it while one is under way."""
    served, begun = 0, threading.Event()
    ended = threading.Event()

    def log_in_until_killed():
        nonlocal served
        while not ended.is_set():
            try:
                front.log_in()
            except (OSError, http.client.HTTPException, RuntimeError):
                # Killed meanwhile, or a defect: `served` tells them apart.
                break
            served += 1
            begun.set()

    user = threading.Thread(target=log_in_until_killed)
    user.start()
    begun.wait(READY_SECONDS_MAX)
    time.sleep(0.5)
    alive = user.is_alive()
    back.kill()
    ended.set()
    user.join()
    if not alive or not served:
        raise RuntimeError("auth_back served no logins before it was killed")


class Back:
    """An auth_back that is started on the same data and the same ports again and again."""

    def __init__(self, data, store, rpc="127.0.0.1:0", ops="127.0.0.1:0", env=None):
        self._command = [common.TARGET / "auth_back", "--data", data, "--listen", rpc, "--ops-listen", ops, *store]
        self._env = {"AUTH_BACK_" + key: value for key, value in ({"LOG_LEVEL": "error"} | (env or {})).items()}
        self.rpc, self._ops = rpc, ops
        self._process = None

    def start(self):
        """Milliseconds from exec to the first 200 of /readyz."""
        begin = time.perf_counter()
        self._process = common.Process(self._command, self._env, stdout=subprocess.PIPE, text=True)
        _wait_until_ready(self._ops, self._process)
        return (time.perf_counter() - begin) * 1_000

    def kill(self):
        self._process.kill()

    def stop(self):
        if self._process:
            # Without --drain's three seconds.
            self._process.stop(signal.SIGINT)


class Front(common.Process):
    """An http_front of one auth_back."""

    def __init__(self, rpc):
        ops = f"127.0.0.1:{free_port()}"
        command = [common.TARGET / "http_front", "--listen", "127.0.0.1:0", "--ops-listen", ops, "--auth", rpc]
        super().__init__(command, {"HTTP_FRONT_LOG_LEVEL": "off"}, stdout=subprocess.PIPE, text=True)
        self._ops = ops
        told = dict(word.split("=") for word in self.stdout.readline().split() if "=" in word)
        self.address = told["http"]

    def __exit__(self, *_):
        self.stop(signal.SIGINT)

    def wait_until_ready(self):
        _wait_until_ready(self._ops, self)

    def log_in(self):
        return self.post("authenticate", {"username": "ada", "password": common.PASSWORD})["token"]

    def check_session(self, token):
        self._ask("GET", "session", None, {"Authorization": f"Bearer {token}"})

    def post(self, route, body):
        return self._ask("POST", route, json.dumps(body), {"Content-Type": "application/json"})

    def _ask(self, method, route, body, headers):
        with contextlib.closing(http.client.HTTPConnection(self.address, timeout=10)) as connection:
            connection.request(method, f"/open_api/v1/{route}", body, headers)
            answer = connection.getresponse()
            text = answer.read()
            if answer.status != 200:
                raise RuntimeError(f"{route}: {answer.status} {text.decode(errors='replace')}")
            return json.loads(text)


def _wait_until_ready(ops, process):
    """Asks /readyz until it says 200."""
    last = time.monotonic() + READY_SECONDS_MAX
    while time.monotonic() < last and process.runs():
        with contextlib.suppress(OSError, http.client.HTTPException):
            with contextlib.closing(http.client.HTTPConnection(ops, timeout=2)) as connection:
                connection.request("GET", "/readyz")
                if connection.getresponse().status == 200:
                    return
        # A refused connection comes back at once: the start is to have the cores.
        time.sleep(0.001)
    raise RuntimeError(f"{process.command[0]} is not ready")


def _two_servers(bench):
    seconds = 10 if bench.trial else SECONDS
    with contextlib.ExitStack() as ends:
        scratch = ends.enter_context(_scratch())
        mariadb = ends.enter_context(common.Harness("mariadb"))
        url = mariadb.told["url"]
        keys = f"directory:{scratch / 'one/keys'}"
        fronts = []
        for name in ("one", "two"):
            words = ["--store", f"{url}/gatehouse"]
            if name == "two":
                words += ["--pepper-keys", keys, "--token-keys", keys]
            rpc, ops = (f"127.0.0.1:{free_port()}" for _ in range(2))
            back = Back(scratch / name, words, rpc, ops, CHEAP)
            ends.callback(back.stop)
            back.start()
            fronts.append(ends.enter_context(Front(rpc)))
            fronts[-1].wait_until_ready()
        loads = [Registrations(front.address, f"front{number}-") for number, front in enumerate(fronts)]
        for load in loads:
            load.start(seconds)
        for load in loads:
            load.join()
        users = _count_users(url)
    ids = [load.ids for load in loads]
    acknowledged = sum(map(len, ids))
    other = sum(len(load.failures) for load in loads)
    twice = acknowledged - len(set(itertools.chain(*ids)))
    nodes = [sorted({int(user_id) >> 12 & 1023 for user_id in of_one}) for of_one in ids]
    first = next((load.failures[0] for load in loads if load.failures), "")
    what = "two auth_backs on one MariaDB without --node"
    return [
        Row(f"{what}: answers that are no 200", "<= 0", other,
            context=f"of {acknowledged + other:,} registrations{': ' + first if first else ''}"),
        Row(f"{what}: ids given twice", "<= 0", twice),
        Row(f"{what}: users in the database, more or fewer than acknowledged", "<= 0", abs(users - acknowledged),
            context=f"{users:,} and {acknowledged:,}"),
        Table(
            f"{2 * RATE} registrations a second for {seconds} s",
            ["front", "due", "200", "node of the ids", "p50 ms", "p99 ms", "max ms", "sent late by at most, ms"],
            [[str(number + 1), load.due, len(load.ids), ", ".join(map(str, of_one)), *load.latencies(), load.late_ms]
             for number, (load, of_one) in enumerate(zip(loads, nodes, strict=True))],
            note="Latencies count from when a request was due.",
        ),
    ]


class Registrations:
    """An open loop of registrations that keeps the ids of the answers, which perf/load does not read."""

    def __init__(self, address, prefix):
        self._address, self._prefix = address, prefix
        self.ids, self.failures, self._ms, self.late_ms = [], [], [], 0.0
        self._lock = threading.Lock()

    def start(self, seconds):
        self.due = round(RATE * seconds)
        self._numbers = iter(range(self.due))
        self._begin = time.monotonic() + 0.1
        self._threads = [threading.Thread(target=self._send) for _ in range(THREADS)]
        for thread in self._threads:
            thread.start()

    def join(self):
        for thread in self._threads:
            thread.join()
        if len(self.ids) + len(self.failures) != self.due:
            raise RuntimeError("some registrations were never sent")

    def latencies(self):
        histogram = [(ms, 1) for ms in self._ms]
        return [common.percentile(histogram, percent) for percent in (50, 99, 100)]

    def _send(self):
        connection = http.client.HTTPConnection(self._address, timeout=10)
        while True:
            with self._lock:
                number = next(self._numbers, None)
            if number is None:
                connection.close()
                return
            due = self._begin + number / RATE
            time.sleep(max(0, due - time.monotonic()))
            late = (time.monotonic() - due) * 1_000
            answer = self._register(connection, f"{self._prefix}{number}")
            ms = (time.monotonic() - due) * 1_000
            with self._lock:
                self.late_ms = max(self.late_ms, late)
                self._ms.append(ms)
                if isinstance(answer, int):
                    self.ids.append(answer)
                else:
                    self.failures.append(answer)

    def _register(self, connection, name):
        """The id, or what came instead of one."""
        body = json.dumps({"username": name, "password": common.PASSWORD})
        try:
            connection.request("POST", "/open_api/v1/register", body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            text = answer.read()
            if answer.status == 200:
                return int(json.loads(text)["user_id"])
            return f"{answer.status} {text.decode(errors='replace')}"
        except (OSError, http.client.HTTPException, ValueError, KeyError) as error:
            # The next request has to open a new connection.
            connection.close()
            return repr(error)


def _count_users(url):
    user, _, address = url.removeprefix("mysql://").partition("@")
    host, _, port = address.partition(":")
    command = ["mariadb", "--no-defaults", f"--host={host}", f"--port={port}", f"--user={user}", "--skip-column-names"]
    command += ["--batch", "--execute=SELECT COUNT(*) FROM gatehouse.user"]
    return int(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


@contextlib.contextmanager
def _scratch():
    with tempfile.TemporaryDirectory(prefix="gatehouse-bench-") as scratch:
        yield pathlib.Path(scratch)


def free_port():
    """One that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]
