"""Products over 64 connections with 64 different tokens (`perf/wrk/products.lua`), closed loop. Leased: answered on the
loop of http_front, as by default. Lease 0: every request goes through a worker of http_front, a borrowed connection, and
a worker of auth_back, which looks the session up in SQLite, or in Redis. Leased and lease 0 in turn, five pairs each.
"""

from figures.common import wrk
from figures.results import Measured, Row, Table

TITLE = "The way through: products without leases"

FINDINGS = """
Before: 0.25 of the leased path on SQLite and 0.23 on Redis. Since then a batch costs what a request did: one worker is
called for all that a turn has queued, auth_back looks up to 64 checks up together, loops are woken once for a batch of
answers, and SQLite plans a statement once. CPU a request, µs, thin LTO, before and after: front 17 and 12, auth_back 36
and 7 (SQLite), 24 and 8 (Redis), Redis itself 15 and 5.

Tried and not taken: leaving a few requests to a worker that is about to come back from an exchange, and calling another
only for half a batch or after a millisecond. Batches grew from 10 to 18 on Redis and the ratio from 0.42 to 0.43, for a
millisecond that a request may wait for nothing.

Then for Redis: a session is one text and no hash any more, one script reads a batch with two commands instead of two for
each session, and the call is written into one buffer. Of the script alone, 10 sessions: 50 µs before, 20 after; half was
expected. In the whole, six runs in turn: 44,700 requests a second before, 58,900 after; CPU a request, µs, auth_back 9.9
and 6.5, Redis 7.8 and 3.9. What is left in the script: plain MGET of the sessions would take 0.2 µs each, but the epoch
of a user is found by what is in the session, and without a script that is a second round trip.

A worker that comes from a batch of 8 or more yields up to five times before it rests: seven runs in turn, requests a
second 48,500 before and 55,900 after on Redis, 61,400 and 67,900 on SQLite; CPU a request, µs, all servers, 25.3 and 21.8,
19.3 and 16.5; a few percent had been expected. Yielding after every batch, small ones too, was not taken: it gave as much,
but beside logins that take every core a request at 2,000 a second had to wait for hashes, p50 364 µs before and 701 after;
with the bound of 8 it is 329 and 338. Fifteen times gave less than five. One worker in the front (`--light-threads 1`)
gives 12 to 16 percent by larger batches, but one slow logout would then hold up everybody. Leaving jobs to workers that
will be back, for up to a millisecond, while fewer than half or all of what those have in hand: 2 to 3 percent, not taken.

Then: the jobs of a turn go to the workers together, and the answers of a batch to the loop, so that neither side runs off
with the first and leaves the others to the next; a loop that is at work is not woken by a system call; one that had 8
letters or more yields once before it sleeps; and a batch is read from Redis with one plain MGET, for which a server notes
whose sessions are. Fourteen runs in turn on Redis, CPU a request, µs: all servers 19.8 before and 16.9 after, Redis alone
3.6 and 1.9, requests a second 1.09 times as many (0.97 to 1.24); 1.15 had been expected. Without the MGET 1.05, without the
yield 1.05. On SQLite no more requests a second, and CPU 17.0 and 16.4. Yielding up to 20, 60 and 200 times: 0.99, 0.92 and
0.89 of the requests. With fewer workers (one in the front, one or two in auth_back) 0.91 to 0.99.

**What is left.** Both servers and Redis take 1.2 of the two cores, and wrk some 0.4 (estimated): about a sixth is idle,
because a batch wakes six threads, one after the other, and only 64 requests are under way. A front whose loop talks to
auth_back itself would save two of them; it would be a second way through the code, beside workers and pool, for the rare
request that no lease answers.
"""


def measure(bench):
    rows, cells, leased_loads = [], [], []
    with (
        bench.system() as leased,
        bench.system(auth={"LEASE": "0ms"}) as sqlite,
        bench.system(sessions="redis", auth={"LEASE": "0ms"}) as redis,
    ):
        for system in (leased, sqlite, redis):
            system.populate(users=1, viewers=64)
            _view(bench, system, 1)
        for name, system in (("SQLite", sqlite), ("Redis", redis)):
            run = bench.pairs(lambda s=system: _view(bench, s, 2), lambda: _view(bench, leased, 2))
            rows.append(
                Row.of(
                    f"products, lease 0, sessions in {name}: requests a second against leased",
                    ">= 0.45",
                    run.ratio(lambda load: load.per_second),
                    context=f"{run.median_a(lambda load: load.per_second):.0f}/s against "
                    f"{run.median_b(lambda load: load.per_second):.0f}/s",
                )
            )
            cells.append(_cells(f"lease 0, {name}", run.a))
            leased_loads += run.b
    head = ["", "requests/s", "p50 ms", "p99 ms", "http_front µs", "auth_back µs", "Redis µs"]
    note = "µs are CPU time a request, user and system. wrk takes a part of both cores beside them."
    return [*rows, Table("CPU time and latency", head, [_cells("leased", leased_loads), *cells], note)]


def _view(bench, system, seconds):
    servers = system.processes()
    if system.sessions == "redis":
        servers["redis"] = system.redis
    return wrk(system.base, "products", 64, bench.seconds(seconds), servers, TOKENS_FILE=system.scratch / "tokens")


def _cells(name, loads):
    def median(key):
        return Measured.of(map(key, loads)).value

    def cpu(server):
        return median(lambda load: load.cpu_us[server]) if server in loads[0].cpu_us else ""

    latencies = [median(lambda load: load.p50_us) / 1000, median(lambda load: load.p99_ms)]
    servers = [cpu(server) for server in ("http_front", "auth_back", "redis")]
    return [name, median(lambda load: load.per_second), *latencies, *servers]
