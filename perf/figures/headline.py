"""1,000 requests a second for 60 s, whatever the answers take: 88% view the products on sessions, 10% log in, 2%
register, each hash at the default m=19456, t=2, p=1. k6, constant arrival rate; 50 users log in, others look. k6
takes a quarter of a core.
"""

import json
import os
import subprocess

from figures import common
from figures.results import Row, Table

TITLE = "The headline: 1,000 requests a second, each answered in under a second"

FINDINGS = """
120 hashes a second are about one of the two cores, k6 takes a quarter of one, so there is little room for
anything else: with compilers of others on the machine (half of the cores' time) 0.4 to 0.9% of the requests, all of
them logins and registrations, were refused at once with 503, because 96 were waiting before them. Products were
answered as always.
"""

SECONDS = 60
KINDS = {"products": "products", "authenticate": "log in", "register": "register"}


def prepare(_bench):
    common.shell("install_k6")


def measure(bench):
    rows, table = [], []
    for store, name in (("sqlite", "SQLite"), ("mysql", "MariaDB")):
        with bench.system(store) as system:
            cpu = common.Cpu(system.processes() | ({"database": system.database} if system.database else {}))
            metrics = run_k6(system, 5 if bench.trial else SECONDS)
            used = cpu.used_us()
        total = metrics["http_req_duration"]
        failed = sum(part["fails"] for part in (metrics["checks"],))
        dropped = metrics.get("dropped_iterations", {"count": 0})["count"]
        slowest = max(metrics[f"http_req_duration{{scenario:{kind}}}"]["max"] for kind in KINDS)
        rows.append(
            Row(f"headline on {name}: slowest request", "< 1,000", slowest, unit="ms",
                context=f"{metrics['iterations']['count']:,} requests, {failed} failed, {dropped} dropped")
        )
        rows.append(Row(f"headline on {name}: failed or dropped", "<= 0", failed + dropped))
        for kind, label in KINDS.items():
            of = metrics[f"http_req_duration{{scenario:{kind}}}"]
            table.append([name, label, of["med"], of["p(99)"], of["p(99.9)"], of["max"], "", "", ""])
        seconds = [used[server] / 1e6 for server in ("http_front", "auth_back")]
        table.append([name, "all", total["med"], total["p(99)"], total["p(99.9)"], slowest, *seconds,
                      used["database"] / 1e6 if "database" in used else ""])
    head = ["store", "request", "p50 ms", "p99 ms", "p99.9 ms", "max ms", "CPU s front", "CPU s auth", "CPU s MariaDB"]
    return [*rows, Table("The headline", head, table, "CPU time includes what k6 does before: 150 hashes.")]


def run_k6(system, seconds):
    summary = system.scratch / "summary.json"
    # Collecting garbage less often leaves more of the shared cores to the servers.
    env = os.environ | {"BASE": system.base, "GOGC": "800", "PASSWORD": common.PASSWORD, "DURATION": f"{seconds}s"}
    for name in ("RATE", "SHARES", "USERS"):
        env.pop(name, None)
    # It ends with 99 when a threshold was crossed; the figures say which.
    command = [common.ROOT / "perf/.venv/bin/k6", "run", "--quiet", "--no-color", "--no-usage-report"]
    run = subprocess.run(
        [*command, "--summary-export", summary, common.ROOT / "perf/k6/headline.js"],
        env=env, stdout=subprocess.DEVNULL,
    )
    if run.returncode not in (0, 99):
        raise RuntimeError(f"k6 ended with {run.returncode}")
    return json.loads(summary.read_text())["metrics"]
