"""auth_back with 1, 2 and 4 hash threads and http_front with 1 and 2 loops, at saturation: logins over 16
connections, products over 64. wrk runs on the same cores, so a server never has all of them: what more threads
give shows in requests a second, and what they cost in CPU time a request. Threads beyond the cores are shown
because somebody will try; they must not lose anything.
"""

import os
import statistics

from figures.results import Plot, Series, Table

TITLE = "Threads and loops"

FINDINGS = """
A login is nearly all hash, so a second thread doubles the logins. Four threads on two cores were expected to cost nothing;
they cost a tenth (the engine alone, four threads on two cores: 5%). A second loop was expected to
cost nothing either. With wrk on one of two cores it does, since a loop then shares its core with wrk: so a loop for two cores
is the default. On machines with a core for each loop this has not been measured.
"""

HASH_THREADS = (1, 2, 4)
LOOPS = (1, 2)
ROUNDS = 3
SECONDS = 3


def measure(bench):
    rounds = 1 if bench.trial else ROUNDS
    logins = _turns(bench, rounds, "auth", "HASH_THREADS", HASH_THREADS, "authenticate", 16)
    products = _turns(bench, rounds, "front", "LOOPS", LOOPS, "products", 64)
    head = ["", "requests/s", "against one", "p99 ms", "CPU µs a request, auth_back", "CPU µs a request, http_front"]
    return [
        Table("Logins by hash threads", ["hash threads", *head[1:]], _rows(logins)),
        Table("Products by loops", ["loops", *head[1:]], _rows(products)),
        Plot("scaling_hash_threads", f"Logins by hash threads, {os.cpu_count()} cores", "hash threads", "logins/s",
             [_series("auth_back", logins)]),
    ]


def _turns(bench, rounds, server, setting, values, script, connections):
    """The loads by value of the setting, measured in turn on systems that idle beside each other."""
    loads = {value: [] for value in values}
    systems = {}
    try:
        for value in values:
            systems[value] = bench.system(**{server: {setting: value}}).__enter__()
            systems[value].populate(users=16, viewers=16)
        for _ in range(rounds):
            for value in values:
                loads[value].append(systems[value].wrk(script, connections, bench.seconds(SECONDS)))
    finally:
        for system in systems.values():
            system.__exit__(None, None, None)
    return loads


def _rows(loads):
    one = _median(loads[1], lambda load: load.per_second)
    return [
        [
            value,
            _median(found, lambda load: load.per_second),
            _median(found, lambda load: load.per_second) / one,
            _median(found, lambda load: load.p99_ms),
            _median(found, lambda load: load.cpu_us["auth_back"]),
            _median(found, lambda load: load.cpu_us["http_front"]),
        ]
        for value, found in loads.items()
    ]


def _series(label, loads):
    per_second = [[load.per_second for load in found] for found in loads.values()]
    return Series(label, list(loads), [statistics.median(found) for found in per_second],
                  [min(found) for found in per_second], [max(found) for found in per_second])


def _median(found, key):
    return statistics.median(key(load) for load in found)
