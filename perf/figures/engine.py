"""Hashes a second, the engine alone (`perf/engine`): crate `argon2` with its memory reused against `argon2_simd` with
AVX-512 and, by asking for it, with AVX2, in turn, on one thread and on one for each core. Argon2id at the default
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
| two independent hashes interleaved on one core | 5.73 and 6.57: slower than the one taken, so not built |
| the early prefetch, but instructions in the compiler's order | slower: 8.2 against 5.8 |
| small pages instead of huge ones | 0.3 to 0.6 ms more |

So what interleaving two hashes was to give, hiding the latency of memory and of dependent instructions, one hash alone
gets by ordering its instructions. Two threads are not twice one: the cores share the memory.
"""

PAIRS = 5


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
    for engine in ("avx512", "avx2", "argon2-rust"):
        if hashes(engine, 1, 64, 1, 0) is not None:
            return engine
    raise RuntimeError("argon2-rust runs everywhere")


def measure(bench):
    rows, table = [], []
    for threads in sorted({1, os.cpu_count()}):
        label = f"{threads} thread" + ("s" if threads > 1 else "")
        for engine, limit in (("avx512", ">= 1.90"), ("avx2", ">= 1.30"), ("argon2-rust", None)):
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
    return [*rows, Table("Engines", head, table, "argon2-rust is what other processors get; it wipes after each hash.")]
