"""Resident anonymous memory of http_front against its keep-alive connections, which come from many loopback
addresses, have made one request each (answered 401 on the loop) and are idle since; the growth from none to N,
divided by N. One process holds as many as the limit of open files allows, up to 100,000. Where that is fewer,
100,000 are held by several http_fronts side by side, and their growth is added up. What the kernel takes for
the sockets of both ends is told apart: it is not the server's, and far more.
"""

import contextlib
import os
import pathlib
import re
import signal
import socket
import time

from figures import common
from figures.results import Plot, Row, Series, Table

TITLE = "Memory of idle connections"

CONNECTIONS = 100_000
FINDINGS = """
A connection is a slot and an entry of the timer wheel. Before, these took 481 bytes: the peer's address stood in the
slot twice, the connection's state was as large as a request whose body arrives, and a timer as large as the largest
answer that may be held back. With the address once and the rare things boxed, 250 were expected, and 233 to 248 came
out; 248 is the sum of both types, asserted in `http_front/src/limits.rs`. Slots live in one vector, whose unused half
is never touched and so is not resident.
"""

# Descriptors of a process that are no connection.
OTHER_FILES = 200
# Below the cap of http_front for one address, also when two loops share it out unevenly.
PER_ADDRESS = 1_000
STEPS = 10
REQUEST = b"GET /open_api/v1/products HTTP/1.1\r\nHost: localhost\r\n\r\n"
IP_BIND_ADDRESS_NO_PORT = 24
# Idle connections are closed after a minute.
_SECONDS_MAX = 50


def measure(bench):
    total = 4_000 if bench.trial else CONNECTIONS
    each = min(total, common.raise_file_limit() - OTHER_FILES)
    with _Front(each) as front:
        curve = [(0, 0.0)]
        for step in range(1, STEPS + 1):
            front.hold(each * step // STEPS)
            curve.append((front.held, float(front.grown())))
    one = curve[-1][1] / curve[-1][0]
    rows = [
        Row("idle keep-alive connection: user-space bytes", "<= 300", one, unit="B",
            context=f"{each:,} connections in one process"),
    ]
    table = [[f"{each:,}", 1, one, ""]]
    if each < total:
        fronts_wanted = -(-total // each)
        each = -(-total // fronts_wanted)
        with contextlib.ExitStack() as ends:
            fronts = [ends.enter_context(_Front(each)) for _ in range(fronts_wanted)]
            free = _kernel_bytes()
            for front in fronts:
                front.begin(each)
            for front in fronts:
                front.finish()
            held = sum(front.held for front in fronts)
            grown = sum(front.grown() for front in fronts) / held
            kernel = (_kernel_bytes() - free) / held
        rows.append(Row("the same, many processes", "<= 300", grown, unit="B",
                        context=f"{held:,} connections in {fronts_wanted} processes"))
        table.append([f"{held:,}", fronts_wanted, grown, kernel])
    return [
        *rows,
        Table("Idle connections", ["connections", "processes", "user-space bytes each", "kernel bytes each, both ends"],
              table),
        Plot("idle_memory", "Memory of http_front against idle connections", "idle connections", "resident, MB",
             [Series("http_front", [x for x, _ in curve], [y / 1e6 for _, y in curve]),
              Series("300 B each", [x for x, _ in curve], [x * 300 / 1e6 for x, _ in curve])]),
    ]


class _Front:
    """An http_front without an auth_back, and a process of its own that holds connections to it."""

    def __init__(self, connections):
        self._most = connections
        self.held = 0

    def __enter__(self):
        with contextlib.ExitStack() as ends:
            flags = ["--auth", "127.0.0.1:1", "--connections-max", 2 * self._most, "--log-level", "error"]
            told = ends.enter_context(common.Harness("server", "http_front", *flags)).told
            self._server = common.Pid(told["pid"])
            host, port = told["http"].rsplit(":", 1)
            self._client = ends.enter_context(_Holder((host, int(port))))
            # The first connections bring the buffers of the loops, which stay.
            self.hold(200)
            self._before = self._anonymous() - 200 * 300
            self._ends = ends.pop_all()
        return self

    def __exit__(self, *_):
        self._ends.close()

    def hold(self, count):
        self.begin(count)
        self.finish()

    def begin(self, count):
        self._client.ask(count)
        self._asked = count

    def finish(self):
        self._client.answer()
        self.held = self._asked

    def grown(self):
        """Bytes since there was no connection."""
        return self._anonymous() - self._before

    def _anonymous(self):
        text = pathlib.Path(f"/proc/{self._server.pid}/smaps_rollup").read_text()
        return int(re.search(r"^Anonymous:\s+(\d+)", text, re.MULTILINE)[1]) * 1024


class _Holder:
    """A child process that opens connections when asked to: files are limited by process."""

    def __init__(self, server):
        self._server = server

    def __enter__(self):
        ours, theirs = socket.socketpair()
        self._pid = os.fork()
        if self._pid == 0:
            with contextlib.suppress(BaseException):
                ours.close()
                _hold(self._server, theirs)
            os._exit(0)
        theirs.close()
        self._pipe = ours
        return self

    def __exit__(self, *_):
        self._pipe.close()
        os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)

    def ask(self, count):
        self._pipe.sendall(f"{count}\n".encode())

    def answer(self):
        self._pipe.settimeout(_SECONDS_MAX)
        if self._pipe.recv(1) != b".":
            raise RuntimeError("connections to http_front could not be made")


def _hold(server, pipe):
    held = []
    for line in pipe.makefile():
        while len(held) < int(line):
            batch = [_connect(server, len(held) + i) for i in range(min(100, int(line) - len(held)))]
            for connection in batch:
                connection.sendall(REQUEST)
            for connection in batch:
                if not connection.recv(4096).startswith(b"HTTP/1.1 401 "):
                    return
            held += batch
        # The loop gives its buffers back after the write that we have just read.
        time.sleep(0.1)
        pipe.sendall(b".")


def _connect(server, number):
    connection = socket.socket()
    # The port is chosen when both ends are known, so that each address has all of them.
    connection.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
    connection.bind((f"127.1.{number // PER_ADDRESS}.1", 0))
    connection.connect(server)
    return connection


def _kernel_bytes():
    """What the kernel has allocated for itself."""
    text = pathlib.Path("/proc/meminfo").read_text()
    return int(re.search(r"^Slab:\s+(\d+)", text, re.MULTILINE)[1]) * 1024
