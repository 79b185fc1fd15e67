"""The products with a leased session, 64 keep-alive connections, wrk with one thread and one fixed request (16 at a
time where it says pipelined): CPU time a request, user and system, of the server process. In turn with it, servers that
send an answer of exactly the same size and ask nobody for a token (`perf/peers`): a bare epoll loop a core
(`floor`), axum, and may_minihttp. http_front judges the request's framing, finds the token's lease, and counts.
"""

import os
import pathlib
import re
import socket
import subprocess

from figures.common import PERF_TARGET, Process, wrk
from figures.results import Measured, Row, Table

TITLE = "The leased path"

FINDINGS = """
System calls are at their least: 36,500 requests were 36,600 `recv`, 36,600 `send` and 1,400 `epoll_wait` (the floor: 1,700).
In a profile of the version before this one, on a busy machine, half of what was left against the floor was our own code
and half kernel time in the same calls; why these take longer is not known yet.

Done: the token is looked up where it lies in the head, so that it is neither copied nor wiped and nothing is allocated;
leases are found under SipHash-2-4 (128 bits, secret key) instead of SHA-256; the clock is read once a read; ends of lines
are found by memchr. Expected: a fifth less CPU with 16 pipelined, little with one at a time. Got, in turn with the version
before (thin LTO): 0.77 (0.75 to 0.82) and 0.98 (0.88 to 1.20). Of the 16, the kernel then took less of http_front than of
may_minihttp (0.51 against 0.56 µs a request) and our own code more (0.37 against 0.17): it judges framing, host and target
of each request and looks for a lease.

Not tried yet: reading all connections of a turn before writing to any, adaptive polling, one copy less of the answer.
"""

CONNECTIONS = 64
ROUNDS = 5
PIPELINED = 16
# A loop for every two cores, as http_front has them.
LOOPS = (os.cpu_count() + 1) // 2
PEERS = {"floor": ["floor", LOOPS], "axum": ["axum_fixed"], "may_minihttp": ["minihttp"]}


def measure(bench):
    rounds = 2 if bench.trial else ROUNDS
    with bench.system() as system:
        system.populate(users=1, viewers=1)
        request = system.products()[0]
        # The first request goes to auth_back.
        answer = [_ask(system.base.removeprefix("http://"), request) for _ in range(2)][1]
        file = pathlib.Path(system.scratch / "answer")
        file.write_bytes(answer)
        servers, bases = {"http_front": system.front}, {"http_front": system.base}
        try:
            for name, (program, *words) in PEERS.items():
                servers[name], address = _start(program, file, *words)
                bases[name] = f"http://{address}"
                size = len(_ask(address, request))
                if size != len(answer):
                    raise RuntimeError(f"{name} answers with {size} bytes instead of {len(answer)}")

            def run(name, pipelined):
                return wrk(f"{bases[name]}/open_api/v1/products", "leased", CONNECTIONS, bench.seconds(2),
                           {"cpu": servers[name]}, TOKENS_FILE=system.scratch / "tokens", PIPELINE=pipelined)

            single = _in_turn(run, ["http_front", "floor", "axum", "may_minihttp"], rounds, 1)
            batch = _in_turn(run, ["http_front", "floor", "may_minihttp"], rounds, PIPELINED)
        finally:
            for name in servers.keys() - {"http_front"}:
                servers[name].stop()

    rows = [
        _row("leased products: CPU against a bare epoll loop", "<= 1.20", single, "floor", _cpu),
        _row("leased products: CPU against axum without authentication", "<= 1.00", single, "axum", _cpu),
        _row("leased products: p99 against axum without authentication", "<= 1.00", single, "axum", _p99),
        _row("leased products, 16 pipelined: CPU against may_minihttp", "<= 1.00", batch, "may_minihttp", _cpu),
    ]
    head = ["", "CPU µs", "requests/s", "p50 ms", "p99 ms"]
    note = f"Answers of {len(answer)} bytes; medians of {rounds} rounds."
    return [
        *rows,
        Table("One request at a time", head, [_cells(name, loads) for name, loads in single.items()], note),
        Table("16 pipelined", head, [_cells(name, loads) for name, loads in batch.items()]),
    ]


def _in_turn(run, names, rounds, pipelined):
    """Each once a round, every other round backwards."""
    loads = {name: [] for name in names}
    for number in range(rounds):
        for name in names if number % 2 == 0 else reversed(names):
            loads[name].append(run(name, pipelined))
    return loads


def _row(figure, bound, loads, peer, key):
    ours, theirs = loads["http_front"], loads[peer]
    ratio = Measured.of(key(a) / key(b) for a, b in zip(ours, theirs, strict=True))
    a, b = (Measured.of(key(load) for load in side).value for side in (ours, theirs))
    unit = "µs CPU a request" if key is _cpu else "µs"
    return Row.of(figure, bound, ratio, context=f"{a:.2f} against {b:.2f} {unit}")


def _cells(name, loads):
    median = lambda key: Measured.of(key(load) for load in loads).value
    # wrk's correction for coordinated omission can count what is below its own minimum, which its percentiles
    # leave out: then there is none, and it says 0.
    ms = lambda us: f"{us / 1000:.2f}" if us else ""
    return [name, f"{median(_cpu):.2f}", median(lambda load: load.per_second), ms(median(lambda load: load.p50_us)),
            ms(median(_p99))]


def _cpu(load):
    return load.cpu_us["cpu"]


def _p99(load):
    return load.p99_us


def _start(program, file, *words):
    """A peer on a port of its own; the process and its address."""
    server = Process([PERF_TARGET / program, "127.0.0.1:0", file, *words], stdout=subprocess.PIPE, text=True)
    words = server.stdout.readline().split()
    if len(words) != 2 or words[0] != "ready":
        server.stop()
        raise RuntimeError(f"{program} does not start")
    return server, words[1]


def _ask(address, request):
    """Sends one raw request and returns all bytes of its answer."""
    host, port = address.rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=5) as stream:
        stream.sendall(request)
        answer = b""
        while True:
            head, end, content = answer.partition(b"\r\n\r\n")
            length = re.search(rb"(?i)content-length: *(\d+)", head)
            if end and length and len(content) >= int(length[1]):
                return answer
            piece = stream.recv(65536)
            if not piece:
                raise RuntimeError(f"{address} closed the connection: {answer!r}")
            answer += piece
