"""Products on leased sessions over 64 connections at constant rates, which are fractions of the peak that the
same generator reaches (`perf/load`, open loop). Latency counts from when a request was due, so a stall is
charged to every request that it delays. Three rounds in turn; percentiles of all three together, and the spread
of p99 between them. Server, generator and everything else share the cores: near the peak both are taken.
"""

from figures.common import percentile
from figures.results import Plot, Row, Series, Table

TITLE = "Latency at fractions of the peak"

FRACTIONS = (25, 50, 75, 90)
ROUNDS = 3
PERCENTS = {"p50": 50, "p90": 90, "p99": 99, "p99.9": 99.9, "p99.99": 99.99, "max": 100}
# More than any machine of two cores answers: the connections are then never idle.
BEYOND_PEAK = 400_000


def measure(bench):
    rounds = 1 if bench.trial else ROUNDS
    with bench.system() as system:
        system.populate(users=1, viewers=64)
        products = system.products()
        # What is asked for beyond the peak is never answered, so it ends with the timeout.
        peak = system.open_loop(products, BEYOND_PEAK, bench.seconds(2), warm_up=0, timeout=1).answered_per_second
        runs = {fraction: [] for fraction in FRACTIONS}
        for _ in range(rounds):
            for fraction in FRACTIONS:
                runs[fraction].append(system.open_loop(products, peak * fraction / 100, bench.seconds(4)))
    items, rows, lines = [], [], []
    for fraction, loads in runs.items():
        failed = sum(load.failed for load in loads)
        if failed:
            raise RuntimeError(f"{failed} requests failed at {fraction}%")
        merged = [pair for load in loads for pair in load.histogram_us]
        values = {name: percentile(merged, percent) / 1000 for name, percent in PERCENTS.items()}
        p99 = [load.latency_us["p99"] / 1000 for load in loads]
        late = sum(load.late for load in loads) / sum(load.due for load in loads)
        kept = "yes" if all(load.kept_up for load in loads) else "**no**"
        rows.append(
            [f"{fraction}%", peak * fraction / 100, kept, *values.values(), f"{min(p99):.2f} to {max(p99):.2f}",
             f"{late:.1%}"]
        )
        # The axis of latency plots: each step to the right is a tenth of the requests.
        at = [1 - percent / 100 for percent in _steps()]
        lines.append(Series(f"{fraction}% of the peak", [1 / a for a in at],
                            [percentile(merged, 100 * (1 - a)) / 1000 for a in at]))
        if fraction == 50:
            items.append(Row("products, leased, at half of the peak: p99.99", "", values["p99.99"], unit="ms",
                             context=f"peak {peak:,.0f}/s by the same generator, coordinated omission corrected"))
    head = ["of the peak", "requests/s", "rate kept", *[f"{name} ms" for name in PERCENTS], "p99 of rounds", "sent late"]
    items.append(
        Table(f"Products, leased session; peak {peak:,.0f} requests a second", head, rows,
              "Sent late: the generator itself was more than a millisecond late, because it waited for a core. "
              "That is part of the latencies.")
    )
    ticks = [[1 / (1 - percent / 100), f"{percent:g}%"] for percent in (50, 90, 99, 99.9, 99.99)]
    items.append(
        Plot("latency", "Latency of products on a leased session, open loop", "percentile", "ms", lines, x_log=True,
             y_log=True, x_ticks=ticks)
    )
    return items


def _steps():
    """Percentiles that look even on the axis."""
    return [100 * (1 - 10 ** (-step / 8)) for step in range(2, 33)]
