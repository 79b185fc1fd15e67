"""The same with a hash of some 250 ms, on one thread. The peak is a closed loop of one client: of more, most would
be done later than `--queue-time-max`, and is refused.
"""

from figures.overload import AUTH, FRONT, Flood

TITLE = "Overload, with slow hashes"

# Thirteen times the work of the default.
SLOW = {"ARGON2": "m=65536,t=8,p=1", "HASH_THREADS": 1}
CLIENTS = 1


def measure(bench):
    with bench.system(front=FRONT, auth=AUTH | SLOW) as system:
        # One at a time, for the same reason.
        system.populate(users=32, viewers=1, together=1)
        flood = Flood(bench, system, CLIENTS)
        return [*flood.rows(">= 0.80"), *flood.fairness(), flood.table()]
