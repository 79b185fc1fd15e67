"""Logins a second end to end at saturation (wrk, eight connections, SQLite, default settings), in turn with the
engine alone on all cores (`perf/engine`), which has the machine to itself. wrk, both servers, the store's syncs and
the audit log share the cores with the hashes. At the default m=19456, t=2 and at Keycloak's m=7168, t=5.
"""

import os

from figures.engine import best, hashes
from figures.results import Measured, Row, Table

TITLE = "Logins at saturation"

FINDINGS = """
What is not the hash, with the engine before this one (argon2-rust, 8.5 ms of auth_back's CPU a login): wiping the arena
7%, now done only when nobody waits for it; everything else 9%, of which the store's sync is the largest (0.6 ms alone;
with the database in memory 234 instead of 192 logins a second). The front took 137 to 161 µs a login. The faster the
engine, the more these weigh. More hash threads than cores, and threads pinned to cores from
outside, gave nothing that could be told from noise.
"""

CONNECTIONS = 8
KEYCLOAK = {"ARGON2": "m=7168,t=5,p=1"}


def measure(bench):
    engine, cores = best(), os.cpu_count()
    rows, table = [], []
    for settings, (memory, passes) in (({}, (19_456, 2)), (KEYCLOAK, (7_168, 5))):
        seconds = bench.seconds(3)
        with bench.system(auth=settings) as system:
            system.populate(viewers=1)
            run = bench.pairs(
                lambda: system.wrk("authenticate", connections=CONNECTIONS, seconds=seconds),
                lambda: hashes(engine, cores, memory, passes, 1),
            )
        ratio = Measured.of(a.per_second / b for a, b in zip(run.a, run.b, strict=True))
        cost = f"m={memory}, t={passes}"
        logins, alone = run.median_a(lambda load: load.per_second), run.median_b()
        if not settings:
            rows.append(
                Row.of(f"logins at {cost} against the engine alone", ">= 0.95", ratio,
                       context=f"{logins:.0f} logins/s against {alone:.0f} hashes/s")
            )
        else:
            rows.append(
                Row(f"logins at {cost}, per core", ">= 120", logins / cores, unit="/s",
                    context="Keycloak plans 15 per vCPU")
            )
        cpu = {name: run.median_a(lambda load: load.cpu_us[name]) for name in ("http_front", "auth_back")}
        table.append([cost, logins, alone, ratio.value, cpu["http_front"], cpu["auth_back"],
                      run.median_a(lambda load: load.p50_us / 1000), run.median_a(lambda load: load.p99_ms)])
    head = ["cost", "logins/s", "engine alone, hashes/s", "ratio", "front µs", "auth µs", "p50 ms", "p99 ms"]
    return [*rows, Table("Logins at saturation", head, table)]
