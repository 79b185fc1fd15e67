"""From `exec` to the line that says where a server listens, and what is resident half a second later: anonymous
memory, and all of it, which includes the pages of the program's file. auth_back finds a SQLite store of 100,000
users, and by then has compared its hash engines on random input and has written to all of its arenas. Warm: the
files are in the page cache. Cold: the page cache was dropped, which needs root.
"""

import os
import pathlib
import re
import statistics
import subprocess
import tempfile
import time

from figures import common
from figures.engine import best
from figures.results import Measured, Row, Table

TITLE = "Cold start and idle memory"

USERS = 100_000
FINDINGS = """
Nearly all of a start of auth_back is the comparison of the hash engines: a hash of the reference takes more than twice
as long as one of the fast engine. The two compute on two threads, and beside the opening of the store, which is there
after 4 ms. What was left beside the hashes was memory: 76 MiB were cleared, 38 MiB of arenas and as much again for the
comparison. That took 5 ms for the arenas in most starts and up to 50 in a few, perhaps where the host of the virtual
machine had yet to find the memory; this was not looked into. So the comparison is made in arenas that stay. The fast engine has one, and the reference is lent the other, on huge pages
too. The hash that only leaves traces behind makes a single pass. The small parameters are compared where there is time
left, not each on a thread of its own, and a fresh arena is touched and not filled. Expected: 51 ms to 30; got, in turn,
30 starts each: 58 ms to 38 warm (the quickest 46 and 32), and 12 each: 80 to 70 cold (71 and 49); 87 ms of CPU to 68, 6,700
page faults to 1,300. In a profile of a step on the way, 4 ms are the program's own start, 3 the clearing of arenas, 27 the hash of the
reference while the other core is busy too, and 2 the rest. Less would mean to compare less.

Where two hashes are computed together there are four arenas on two cores instead of two, and that way is compared too, on the
thread of the fast engine: one hash more. It was expected to cost 6 ms and cost 25 in runs hours apart (52 ms warm before); memory to
be cleared is what varies most. `--hashes-per-thread 1` is as before.

Of what is resident beside the arenas, 8 MiB are pages of the program's file. The limiter's tables are not: they are
asked for as zeroed pages and touched when somebody guesses. That was so only in the plan: in pieces of just below 128
KiB they came from the heap of glibc, which writes to about half of them, 20 MiB at the default `--throttle-memory`.
"""

RUNS = 5
MIB = 1 << 20
# bcrypt, of the common PASSWORD; import seals each anew. What a record is does not matter to a start.
BCRYPT = "$2b$04$cP11OSbtjAQzDiprMOiHUu0DuZD70vRwKwiFv.xwRy3wiIPU.l8Ri"


def measure(bench):
    per_thread = 2 if best() == "avx512-in-twos" else 1
    arenas = os.cpu_count() * per_thread * 19_456 * 1024
    with tempfile.TemporaryDirectory(prefix="gatehouse-bench-") as scratch:
        data = _store(pathlib.Path(scratch), 1_000 if bench.trial else USERS)
        places = ["--listen", "127.0.0.1:0", "--ops-listen", "127.0.0.1:0"]
        commands = {
            "auth_back": [common.TARGET / "auth_back", *places, "--data", data],
            "http_front": [common.TARGET / "http_front", *places, "--auth", "127.0.0.1:1"],
        }
        states = ["warm", "cold"] if os.geteuid() == 0 else ["warm"]
        starts = {(server, state): [] for server in commands for state in states}
        for command in commands.values():
            _start(command)
        for _ in range(2 if bench.trial else RUNS):
            for (server, state), found in starts.items():
                if state == "cold":
                    _drop_page_cache()
                found.append(_start(commands[server]))
    rows, table = [], []
    for (server, state), found in starts.items():
        rows.append(Row.of(f"{server}: start to ready, {state} page cache", "< 100", Measured.of(s[0] for s in found),
                           unit="ms"))
        ms, anonymous, resident, cpu = (statistics.median(column) for column in zip(*found, strict=True))
        table.append([server, state, ms, cpu, anonymous / MIB, resident / MIB])
    for server, fixed in (("auth_back", arenas), ("http_front", 0)):
        resident = Measured.of(start[2] / MIB for start in starts[server, "warm"])
        bound = f"<= {fixed / MIB + 15:.0f}"
        context = f"{fixed / MIB:.0f} MiB of it arenas" if fixed else ""
        rows.append(Row.of(f"{server}: resident when idle", bound, resident, unit="MiB", context=context))
    head = ["server", "page cache", "ready after ms", "CPU ms", "anonymous MiB", "resident MiB"]
    return [*rows, Table("Starts", head, table)]


def _store(scratch, users):
    """A data directory with keys and users in it."""
    rows = scratch / "users.csv"
    rows.write_text("username,password_hash\n" + "".join(f'user{i},"{BCRYPT}"\n' for i in range(users)))
    command = [common.TARGET / "auth_back", "import", "--data", scratch / "data", rows]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return scratch / "data"


def _start(command):
    """Milliseconds to the line; bytes of anonymous and of all resident memory; milliseconds of CPU."""
    begin = time.perf_counter()
    with common.Process(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        line = server.stdout.readline()
        ms = (time.perf_counter() - begin) * 1_000
        if not line.startswith("listening"):
            raise RuntimeError(f"{command[0]} does not start")
        time.sleep(0.5)
        rollup = pathlib.Path(f"/proc/{server.pid}/smaps_rollup").read_text()
        anonymous, resident = (
            int(re.search(rf"^{name}:\s+(\d+)", rollup, re.MULTILINE)[1]) * 1024 for name in ("Anonymous", "Rss")
        )
        return ms, anonymous, resident, server.cpu_us() / 1_000


def _drop_page_cache():
    os.sync()
    pathlib.Path("/proc/sys/vm/drop_caches").write_text("3\n")
