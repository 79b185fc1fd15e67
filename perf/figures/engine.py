"""Hashes a second, the engine alone (`perf/engine`): crate `argon2` with its memory reused against `argon2_simd` with
AVX-512 and, by asking for it, with AVX2, in turn, on one thread and on one for each core. Argon2id at the default
m=19456, t=2, p=1. All outputs are the same, which is checked by `argon2_simd/tests` and at every start of auth_back.
"""

import os
import subprocess

from figures import common
from figures.results import Row, Table

TITLE = "The hash engine alone"

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
