"""Logins a second end to end at saturation (wrk, sixteen connections, SQLite, default settings), in turn with the
engine alone on all cores (`perf/engine`), which has the machine to itself. wrk, both servers, the store's syncs and
the audit log share the cores with the hashes. At the default m=19456, t=2 and at Keycloak's m=7168, t=5.
"""

import os

from figures.engine import best, hashes
from figures.results import Measured, Row, Table

TITLE = "Logins at saturation"

FINDINGS = """
Before hashes had threads of their own, workers hashed and then waited for the disk, two for each core. Of the cores' time
4 to 6% was idle at saturation, and it was not the disk: with `synchronous=OFF` it was 8%, and no more logins were done. A
hash that ended woke a worker on a busy core, and its own core was idle until the kernel's balancing noticed. Three or four
threads that take turns on two cores also hash 5% slower than two (the engine alone with four threads), and an arena was
often wiped although logins waited, because those who waited were at the store. A thread for each arena that only hashes:
1.14 times the logins, idle time 0, from 0.74 to 0.85 of the engine.

Then sessions were committed together, up to four while hashes queue: 0.9 instead of 3.1 interrupts of the disk a login,
2.3 instead of 4.1 from core to core, 15 instead of 22 context switches. Expected was 1.06, which is what no sync at all
gave; it gave 1.02 to 1.1. The front took 73 instead of 100 µs a login, because answers that come together are read together.
Both steps together, in turn with the servers from before: logins 1.19 times (0.93 of the engine, in pairs 0.85 to 0.95),
at m=7168, t=5 1.16 times, on MariaDB 1.05, registrations on SQLite 1.16.

What was missing then was time outside the hash threads: by the CPU time of their threads, hashes take in the server what they
take in the engine alone (0.98 to 1.02 in the medians of six runs), and idle time is 0. Per login, in us, each with its
caches full of a hash's memory:

| | before | now |
|---|---|---|
| auth_back's workers, with SQLite | 276 | 206 |
| its loop | 47 | 33 |
| its audit log | 18 | 12 |
| the front | 94 | 72 |
| wrk, and the kernel's threads for the disk | 36 | 38 |
| context switches | 14.5 | 10.0 |
| interrupts from core to core | 2.4 | 1.4 |

Before and now in turn, six pairs: 0.76 times the time outside the hash threads (0.66 to 0.93); of the engine 0.885 and 0.94,
with a measuring program beside them that takes 1%. What was done: workers whose hash is done are called four at a time while others are hashed; who is
answered after the same commit is answered with one wake-up, so all that follows comes in batches too (expected: half of the wake-ups
behind the commit; it was 0.55 to 0.6); the audit log rests for 20 ms after a batch (0.17 instead of 0.9 wake-ups a login).
Its rest as a wait for orders with a time limit cost 7 us more than no rest: such a wait spins first.

A user who has as many sessions as a user may costs each login 190 us: all of them are looked at, and one goes. With 32 users that was every
login after the first 3,200, so there are more users here now. Without the sort it is 50 us less; an index with all that is looked at
would take it to 30, and was not worth a migration.

`fdatasync` instead of `fsync` gave nothing here, where the file system has no journal: two writes and a flush a commit either way.
On ext4 with a journal it is two writes and one flush instead of three and two, 2.4 to 3.0 ms instead of 4.9 to 5.5.

The ratio was 0.90 then, and 0.905 an hour before, with pairs from 0.79 to 1.02: the engine alone varies by a
tenth between runs, and five to nine pairs do not average that out. What does not vary is CPU time outside the hashes, and by
that 0.94 to 0.95 is what there is to reach.

Then a login became steps instead of a thread that waits: nobody waits for its hash, and those whose hash is done are judged,
committed and answered by one thread, four at a time, where four were woken, met at the connection that writes, and waited for
each other's commit. Expected were 50 to 80 us a login. In turn with the servers from before, in four runs of six to eleven pairs,
time outside the hash threads was 0.88, 0.89, 0.92 and 1.03 in the medians (421 and 381 us in the quietest run, 45 of these the
measuring program), all of it at auth_back's workers: 0.76 to 0.92, 203 and 162 us. They switch 1.9 times a login instead of
4.3, hashes are interrupted 2.5 times instead of 3.5, 1.4 interrupts go from core to core instead of 2.2. Logins a second: 1.00, 1.04, 0.98
and 0.98, too little to be told from noise; on MariaDB 1.00 (time outside 0.95), one login after the other 1.12. With 32 connections
it was 0.92 and 0.98 with four logins in flight for each hash, because the queue ran low while four of them were committed; with
eight, 1.00. Of the workers' time after the hash, the commit is two thirds, and more than half of that the file system's
sync: without a journal ext4 writes the inode at each, for its time of change, whatever `fdatasync` asks for. A pair of runs loses
0.3% because what is in flight when wrk ends is not counted.

Then two hashes at a time on each thread, where the engine alone gains 0.93. In turn with the servers before both steps, eight
pairs: a hash takes 0.85 to 0.94 of what it took, and there are 1.06 to 1.12 times the logins. At first those whose hash was done were called for as soon as
fewer than four hashes were queued, which with eight connections is always: commits of two, 584 us a login outside the hash
threads. Four at a time it is 445, in turn, where the servers before both steps took 500. The faster the hash, the larger is
the part of the rest: 445 us are 6.8% of a login that takes 6.5 ms of CPU, and were 6.1% of one that took 7.3.

So up to eight are finished together now, and ten logins are in flight for each thread that hashes (twelve when this was measured). With sixteen
connections, in turn with four together, seven pairs: 294 us outside the hash threads instead of 419 (0.67), of which 60 are the
measuring program, 100 finish logins (145), 31 begin them (45), 21 are the loop (37), 44 the front (67), 28 wrk. With eight connections there are never eight that are done
while others wait, and nothing changed (429 and 450). Those runs before had eight connections, these sixteen: while four are
hashed and eight are committed, others have to be waiting, or it is not saturation.

With that the ratio was 0.944 (15 pairs of two seconds), 0.935 (41 of one second, which loses what is in flight at each end) and
0.960 (15 of three seconds, this table, in which the last pairs had users with as many sessions as they may have): it is at its
bound. By the time of the hash threads it is 0.947, and 0.96 without the measuring program.

What was left at 0.94, before all that: workers and SQLite 2.9% (a fourth of that is handing three requests a commit to the virtual disk), the front
1.0%, the loop 0.5%, wrk 0.4%, the kernel's threads 0.3%, the audit log 0.2%. Threads pinned to cores from outside (hashes one to a core, or all
others on one core) gave nothing that could be told from noise; nor did two or three workers instead of four for each hash.
"""

# While four are hashed and eight are committed, others wait to be hashed.
CONNECTIONS = 16
# So many that none has as many sessions as it may (--sessions-per-user) when the last run ends. Beyond that each login ends
# another session too.
USERS = 192
KEYCLOAK = {"ARGON2": "m=7168,t=5,p=1"}


def measure(bench):
    engine, cores = best(), os.cpu_count()
    rows, table = [], []
    for settings, (memory, passes) in (({}, (19_456, 2)), (KEYCLOAK, (7_168, 5))):
        # What is hashed when wrk ends is not counted, and is 1% of a second.
        seconds = bench.seconds(3)
        with bench.system(auth=settings) as system:
            system.populate(users=USERS, viewers=1)
            run = bench.pairs(
                lambda: system.wrk("authenticate", connections=CONNECTIONS, seconds=seconds),
                lambda: hashes(engine, cores, memory, passes, seconds),
                # Between runs the engine alone varies by a tenth, so more pairs for what has a bound.
                n=5 if settings else 15,
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
