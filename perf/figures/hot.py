"""The products with a leased session, 64 keep-alive connections, wrk with one thread and one fixed request (16 at a
time where it says pipelined): CPU time a request, user and system, of the server process. In turn with it, servers that
send an answer of exactly the same size and ask nobody for a token (`perf/peers`): bare epoll loops,
as many as http_front has (`floor`), axum, and may_minihttp. http_front judges the request's framing, finds the token's lease, and counts.
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
System calls are at their least (counted when http_front and the floor had a loop for each core): 36,500 requests were 36,600 `recv`, 36,600 `send` and 1,400 `epoll_wait` (the floor: 1,700).
84% of a request's CPU time is the kernel's, in the same calls as the floor's.

Done, and what it gave:

| step | expected | got |
|---|---|---|
| the token looked up where it lies in the head, so that it is neither copied nor wiped; leases found under SipHash-2-4 (128 bits, secret key) instead of SHA-256; the clock read once a read | a fifth less CPU with 16 pipelined | 0.77 of the CPU, 0.98 with one at a time |
| a head that has come whole gone through once, by httparse, and not first in search of its end; hosts judged by a table, targets in vectors | a fifth of our own code | 4,130 instructions a request to 3,230, with 16 pipelined 375 ns to 272 |
| each loop counts for itself, and tells the counters that all share at the end of a turn | what two loops cost more than one | with the step above: user time of two loops 1.15 µs to 0.96, of one 0.92 to 0.85 |
| sockets read and written by the system call itself: the C library's functions are points of cancellation, two atomic exchanges a call | 2 to 3% | 0.96 of the CPU (0.83 to 1.17) |
| one loop for two cores, and not one for each | what the second one costs beside its client | 0.83 of the CPU, p99 1.8 ms instead of 3.6 |
| a keyed hash whose multiplications do not wait for each other (vector multiply-shift) instead of SipHash-2-4, whose rounds do | a quarter of its 41 ns | 20 ns |
| cookies searched with memchr; line ends and targets looked at in vectors to the last byte | a sixth of a request with cookies | with the hash 0.79 of the time, without cookies 0.90 |
| states, heads and replies written where they stay: a copy of what was written in parts a moment ago waits for the store buffer | 12%, which is what a profile by instructions had at such copies | 222 ns to 196 |
| more of such copies, found by the instruction at which the servers' samples lie: httparse compiled into the one place that calls it, targets and lengths of bodies no longer handed on within a `Result`; a bare LF looked for at the ends of lines only; a head knows which lengths its names have, so that a field that is not there is not looked for | 27 ns of a server's 764 for the copies, 15 for the rest | 200 ns to 175, with cookies 504 to 476 |
| leases found under NH and multiply-shift (22 multiplications) instead of multiply-shift alone (40) | half of 24 ns | 6 ns |
| `Date` and the end of a head in one piece; hosts eight bytes at a time, ports as text; nothing dropped that is empty; no call to see that there is no cookie | 15 ns | 172 ns to 154, of which the ports are not to be told from noise |

The last three lines: 200 ns to 154, with a browser's head 418 to 388, with its cookies 504 to 464, one at a time 253 to 220.
Of the servers, 13 pairs with 16 pipelined: user time 0.44 µs a request before, 0.35 after, CPU 0.93 (0.77 to 1.39); 15 pairs,
while others used the machine: 0.43 to 0.36, 0.90 (0.71 to 1.03). One at a time, nine pairs: CPU 1.00 (0.83 to 1.15), user time
0.99 µs to 0.95. Against may_minihttp in the same rounds, 16 pipelined: 1.05, and 0.83 while others used the machine, by which
may_minihttp with its thread for each core loses more; one at a time 0.84.

The three before them by the way of a request through `reactor`, `http1` and `http_front` without sockets, 16 pipelined, minima of 20
runs in turn: 247 ns before them, 196 after; with a browser's cookies 666 and 508.
Of the servers, nine pairs with 16 pipelined, twice: user time 0.49 and 0.51 µs a request before, 0.41 and 0.42 after; CPU 0.96
(0.80 to 1.61) and 0.94 (0.80 to 1.09). One at a time CPU 0.98 (0.95 to 1.19). Against may_minihttp in the same rounds, medians:
1.07 and 1.11.

Tried and not taken: reading all connections of a turn before writing to any, so that the client is woken once. It gave
nothing that could be told from noise: 0.96 to 1.04 of the CPU with one request at a time, 0.92 and then 1.06 with 16 pipelined.

**16 pipelined hold by little**, and not in each run: 0.98, 0.99, 1.05 on a machine that does little else. On a machine that does nothing else, the kernel takes 0.45 µs a request for http_front and
0.49 for may_minihttp. Our own code takes 0.35 µs, theirs 0.29, which is httparse and an answer that is put together. Of ours, by
the profile, a third is httparse, 13% the hash of the token and the look into the table, 5% the host, 5% the credentials; copying and
wiping are 8%, the loop with its system calls 6%. No stall is left that a profile by instructions would show: what remains are
some 2,200 instructions, spread over all that is asked of a head. A request that equals the one before it in the same read could
be answered without being looked at; that would be for this figure alone, so it was not done.
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
