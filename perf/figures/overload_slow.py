"""The same with slow hashes, on one thread. The peak is a closed loop of one client: of more, most would be done later
than `--queue-time-max`, and are refused.
"""

from figures.overload import AUTH, FRONT, Flood

TITLE = "Overload, with slow hashes"

FINDINGS = """
Before, two requests in flight and the job itself took longer than `--queue-time-max`, so nothing waited in turn in the
front, and who asked beside one address got 0.13 and 0.03 of its share. Now what is in work counts for its network, and
only as many are sent as the server hashes at a time.
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
