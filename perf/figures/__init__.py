"""The figures of BENCHMARKS.md, one module each; `perf/bench` runs them.

A figure is a module of this folder with

    a docstring          what is measured and how, in a few sentences of Markdown; printed below its title
    TITLE                its heading in BENCHMARKS.md
    measure(bench)       runs it and returns a list of Row, Table and Plot (figures/results.py)
    FINDINGS = "..."     optional Markdown, printed after the tables: what was tried and what it gave, and
                         where the time goes when a figure falls short
    prepare(bench)       optional: installs and builds what measure needs. Run before anything is measured;
                         the servers' and perf's release binaries are built by perf/bench itself
    OPT_IN = True        optional: only runs when it is named, so that measuring all installs no more than it has to

and its name in ORDER below, which is the order of the table. A whole figure takes at most about 90 s,
unless it is OPT_IN.
`perf/bench --trial NAME` runs one with short loads and two pairs and keeps nothing, to try the module.

An example, which compares the CPU of two stores:

    '''CPU time of auth_back per login, on SQLite and on MariaDB, eight connections.'''

    from figures.results import Row, Table

    TITLE = "Logins on both stores"

    def measure(bench):
        with bench.system("sqlite") as a, bench.system("mysql", auth={"STORE_CONNECTIONS": 4}) as b:
            a.populate(users=16)
            b.populate(users=16)
            run = bench.pairs(
                lambda: a.wrk("authenticate", connections=8, seconds=3),
                lambda: b.wrk("authenticate", connections=8, seconds=3),
            )
        ratio = run.ratio(lambda load: load.cpu_us["auth_back"])
        return [
            Row.of("authenticate: CPU on SQLite against MariaDB", "<= 1.00", ratio,
                   context=f"{run.median_a(lambda load: load.per_second):.0f} logins/s on SQLite"),
            Table("Logins", ["store", "logins/s", "p99 ms"],
                  [["SQLite", run.median_a(lambda load: load.per_second), run.median_a(lambda load: load.p99_ms)],
                   ["MariaDB", run.median_b(lambda load: load.per_second), run.median_b(lambda load: load.p99_ms)]]),
        ]

What is there to measure with is in figures/common.py: private systems, other servers, wrk, CPU time and
memory from /proc, pairs. Servers idle beside each other while the other one is measured.
"""

# As in the table. A module that is not named here comes last.
ORDER = [
    "hot",
    "through",
    "engine",
    "logins",
    "peers",
    "real",
    "headline",
    "overload",
    "overload_slow",
    "busy",
    "growth",
    "latency",
    "idle",
    "pool",
    "framing",
    "micro",
    "cold_start",
    "restart",
    "scaling",
]
