"""Hashes a second, the engine alone (`perf/engine`): crate `argon2` with its memory reused against `argon2_simd` with
AVX-512 and, by asking for it, with AVX2, in turn, on one thread and on one for each core, a hash at a time and two. Argon2id at the default
m=19456, t=2, p=1. All outputs are the same, which is checked by `argon2_simd/tests` and at every start of auth_back.
"""

import os
import subprocess

from figures import common
from figures.results import Row, Table

TITLE = "The hash engine alone"

FINDINGS = """
Argon2id is bound by the latency of its chain of instructions as much as by memory. Prototypes, ms a hash on one thread
and on two, beside argon2-rust with 6.4 and 7.4 in the same runs:

| tried | gave |
|---|---|
| blocks kept in the order of registers (48 shuffles a block); memory not wiped by the engine | 5.45 and 6.81 |
| the same, four chains of instructions held alternating | 5.50 and 6.70 |
| the same, first the columns that say which block is next, then its prefetch, then the rest | 5.05 and 6.23: taken |
| two independent hashes interleaved on one core | 5.73 and 6.57: slower than the one taken (then) |
| the early prefetch, but instructions in the compiler's order | slower: 8.2 against 5.8 |
| small pages instead of huge ones | 0.3 to 0.6 ms more |

Two threads are not twice one: the cores share the memory. A block takes 104 ns where all fits the second cache (m=256, a quarter
over what the ports can do in 240 cycles), and 133 to 160 at m=19456, also where its address is known long before: so it
is the way from the third cache, of 32 lines a block, and not only the order of things. Then, each tried hash by hash in turn
(which leaves the third cache cold, and makes gains larger than they are alone):

| tried | gave, of what it took before |
|---|---|
| the place that will be written asked for two blocks ahead, into the second cache | 0.98 |
| the same into the first cache, or to be written (`prefetchw`) | 0.99 |
| the block that will be read asked for into the second cache | 1.05: then it is late for the first |
| what is added at the end read at the end, not kept beside (16 registers less that lie on the stack) | 0.97 with the first |
| the columns that give the next address half a G ahead of the others, instead of all before them | 0.95 with those |
| a branch less at the end of memory | 3% |
| all that with AVX2 | 0.82 (alone, by the table's ratio before and now, 0.92) |
| and two hashes, a block of each in turn, with AVX-512 | 0.84 |
| the same with AVX2 | 0.82: nothing more, so auth_back does it with AVX-512 only |

The first time two hashes together were slower because blocks were ordered for one. Running alone, with the third cache warm,
the new order is 0.985 of the old one and two together 0.925 (0.89 at m=7168, t=5).
"""

PAIRS = 5
ENGINES = (
    ("avx512", ">= 1.90"),
    ("avx512-in-twos", None),
    ("avx2", ">= 1.30"),
    ("avx2-in-twos", None),
    ("argon2-rust", None),
)


def hashes(engine, threads, memory=19_456, passes=2, seconds=1):
    """Hashes a second; None where the processor cannot."""
    command = [common.PERF_TARGET / "engine", engine, threads, memory, passes, seconds]
    run = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, text=True)
    if run.returncode == 3:
        return None
    if run.returncode != 0:
        raise RuntimeError(f"perf/engine ended with {run.returncode}")
    return float(run.stdout)


def best():
    """The engine that auth_back takes here."""
    for engine in ("avx512-in-twos", "avx2", "argon2-rust"):
        if hashes(engine, 1, 64, 1, 0) is not None:
            return engine
    raise RuntimeError("argon2-rust runs everywhere")


def measure(bench):
    rows, table = [], []
    for threads in sorted({1, os.cpu_count()}):
        label = f"{threads} thread" + ("s" if threads > 1 else "")
        for engine, limit in ENGINES:
            if hashes(engine, 1, 64, 1, 0) is None:
                continue
            run = bench.pairs(
                lambda: hashes(engine, threads), lambda: hashes("reference", threads), PAIRS if limit else 2
            )
            ratio = run.ratio()
            if limit:
                rows.append(
                    Row.of(f"hash engine, {engine}, {label}: against crate argon2", limit, ratio,
                           context=f"{run.median_a():.0f} against {run.median_b():.0f} hashes/s")
                )
            table.append([engine, label, run.median_a(), run.median_b(), ratio.value])
    head = ["engine", "threads", "hashes/s", "crate argon2, hashes/s", "ratio"]
    return [*rows, Table("Engines", head, table, "In twos: two hashes together on a thread, as auth_back computes them while many wait, with AVX-512. argon2-rust is "
                   "what other processors get; it wipes after each hash.")]
