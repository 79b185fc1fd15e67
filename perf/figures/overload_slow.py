"""The same with slow hashes, on one thread. The peak is a closed loop of one client: of more, most would be done later
than `--queue-time-max`, and are refused.
"""

from figures.overload import AUTH, FRONT, Flood

TITLE = "Overload, with slow hashes"

FINDINGS = """
Measured with the peak taken twice before the first flood, and not again after each. A hash took 305 ms of an idle
machine. Fair shares fail: two requests in flight and the job itself are longer than `--queue-time-max`, so nothing waits in
turn in the front, and whoever comes when a place is free has it (docs/overload.md).
"""

# Thirteen times the work of the default.
SLOW = {"ARGON2": "m=65536,t=8,p=1", "HASH_THREADS": 1}
CLIENTS = 1


def measure(bench):
    with bench.system(front=FRONT, auth=AUTH | SLOW) as system:
        # One at a time, for the same reason.
        system.populate(users=32, viewers=1, together=1)
        flood = Flood(bench, system, CLIENTS, "slow hashes, ")
        return [*flood.rows(">= 0.80"), *flood.fairness(), flood.table()]
