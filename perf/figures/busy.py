"""Logins at saturation: wrk over eight connections, closed loop, so that a hash waits for every core. Beside them
products are viewed on leased sessions, 5,000 a second over 64 connections (`perf/load`, open loop, latency from
when a request was due). Five rounds; before each, the same rate without logins.
"""

from concurrent.futures import ThreadPoolExecutor

from figures.results import Measured, Row, Table

TITLE = "Products while logins take every core"

FINDINGS = """
Threads that hash have niceness 10. What other ways to schedule them would give, three rounds in turn of 2.5 s,
medians, on a running system (commit 3d78802; `sched_setattr` from outside):

| threads that hash | p50 µs | p99 ms | p99.99 ms | of p99, the generator itself late, ms | logins/s |
| --- | ---: | ---: | ---: | ---: | ---: |
| niceness 0 | 388 | 5.9 | 10.6 | 4.0 | 176 |
| **niceness 10, as it is** | 77 | 4.6 | 8.7 | 3.5 | 169 |
| niceness 10, SCHED_BATCH | 64 | 4.1 | 8.1 | 3.4 | 169 |
| niceness 19 | 80 | 4.3 | 7.7 | 3.7 | 161 |
| SCHED_IDLE | 76 | 3.1 | 8.7 | 2.6 | 164 |
| niceness 10, slices of 0.1 ms for the loops | 77 | 4.3 | 8.0 | 3.5 | 172 |
| niceness 10, slices of 20 ms for hashing | 74 | 4.7 | 13.3 | 3.5 | 165 |

So niceness 10 is worth its place, and most of p99 is the generator waiting for a core, as a client on another
machine would not. Short slices for the loops, and SCHED_BATCH, were expected to take the rest away and gave
nothing that can be told from noise. SCHED_IDLE gives a millisecond and was not taken: whatever keeps the cores
busy, a flood of products too, would then stop logins altogether.
"""

RATE = 5000
ROUNDS = 5


def measure(bench):
    rounds = 2 if bench.trial else ROUNDS
    seconds = bench.seconds(5)
    alone, beside, logins = [], [], []
    with bench.system() as system, ThreadPoolExecutor(1) as threads:
        system.populate(users=32, viewers=64)
        products = system.products()
        for _ in range(rounds):
            alone.append(system.open_loop(products, RATE, seconds))
            # Longer on both sides than what runs beside it, which warms up for a second.
            storm = threads.submit(system.wrk, "authenticate", 8, seconds + 3)
            beside.append(system.open_loop(products, RATE, seconds, warm_up=2))
            logins.append(storm.result())
    failed = sum(load.failed for load in alone + beside)
    if failed:
        raise RuntimeError(f"{failed} requests failed")
    p99 = Measured.of(load.latency_us["p99"] / 1000 for load in beside)
    per_second = Measured.of(load.per_second for load in logins)
    row = Row.of("products at 5,000/s while logins saturate: p99", "< 10", p99, "ms",
                 f"{per_second.value:.0f} logins/s beside it; alone p99 {_median(alone, 'p99'):.2f} ms")
    head = ["", "p50 ms", "p90 ms", "p99 ms", "p99.9 ms", "p99.99 ms", "max ms", "rate kept", "sent late",
            "front µs"]
    return [row, Table("Products, medians of the rounds", head, [_cells("alone", alone), _cells("beside logins", beside)],
                       f"Logins: {per_second.value:.0f} a second ({per_second.low:.0f} to {per_second.high:.0f}), "
                       f"p99 {Measured.of(load.p99_ms for load in logins).value:.0f} ms. Sent late: requests that the "
                       "generator sent more than a millisecond late, because it waited for a core itself.")]


def _cells(name, loads):
    late = sum(load.late for load in loads) / sum(load.due for load in loads)
    values = [_median(loads, percentile) for percentile in ("p50", "p90", "p99", "p999", "p9999", "max")]
    kept = "yes" if all(load.kept_up for load in loads) else "**no**"
    front = Measured.of(load.cpu_us["http_front"] for load in loads).value
    return [name, *values, kept, f"{late:.1%}", front]


def _median(loads, name):
    return Measured.of(load.latency_us[name] for load in loads).value / 1000
