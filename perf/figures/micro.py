"""The pool beside r2d2 and deadpool, the framing beside prost: `perf/micro`, contenders in turn for seven rounds.

Every pool holds four numbers that cost nothing to make, to check or to give back. r2d2 is set up as its documentation
says for speed: `test_on_check_out(false)`, filled at the start, no lifetime and no idle timeout, so no reaper.
deadpool is for async code; a thread uses it through `block_on`, and futures-executor's is the cheapest. Competing
threads run for a fixed time, not for a fixed number of borrows, else who is starved runs last and alone. Latency
is measured apart from throughput, because looking at the clock costs as much as a borrow.

Framing and prost encode into a buffer that is used again. Ours writes and reads the frame's header too; prost's
message is only length-delimited.
"""

import json
import subprocess

from figures.common import PERF_TARGET
from figures.results import Measured, Row, Table

TITLE = "Pool and framing"

FINDINGS = """
**Pool.** Its queue is in order, and still it does not hand over on every borrow: a borrower that finds nothing
lets other threads run twice before it joins the queue (`YIELDS_BEFORE_QUEUE`), so short borrows do not end in
a convoy, where each needs a wake-up. deadpool's semaphore is in order without that, r2d2 wakes somebody and lets
newcomers overtake: with a holder that sleeps, its p99 is that of a queue without an order.
While holding takes a microsecond of computing, both cores are full of that, and no pool can be twice as fast;
what is to be compared is CPU beyond the microsecond.
An exact look at the clock costs 22 ns here, and an item that ages needed two for each borrow: 65 ns in all. Ages
are judged by the coarse clock now, which is a tick behind at most, 4 ms on this kernel. Expected: 30 ns; got 26.
On another processor (Xeon instead of EPYC) an atomic operation costs 9 ns instead of 2, and a borrow 73 instead of 17:
a mutex around a vector alone, four of them, takes 37. How often an item was lent is now counted under the lock that is
held anyway. Expected: 9 ns less; got 10. Two more were the count of the pool's owners that a loan took part in, so that
it could outlive the handle it was borrowed through. A loan borrows the handle now. Expected: 18 ns less, and with
competing threads as much at least, because that count is one more thing that they write to; got 10 to 16 ns, and with 8
threads on 4 items 9 to 56% more borrows.
The coarse time is moved from the boot now instead of from the first look, which spares a comparison each. Expected: 2 ns
less for items that age; got 3. What is left of an item that ages is four atomic operations, 37 ns, and two calls of the
kernel's clock, 7.

**Framing.** Profiles of decoding showed copies of all slots of a body, twice, and 128-bit shifts for each field.
Slots are filled in place now, and ascending known fields with one-byte keys, all that our encoder writes, go a
short way; anything else is judged by the long one, which alone finds errors. Expected: 171 to about 90 ns; got 72
to 97. Encoding asked for room three times a field, now once. Expected: 71 to 35 ns; got 37 to 41. What is left of
decoding is mostly the standard library's check that four texts are UTF-8.
"""

_ROUNDS = 7


def measure(bench):
    measured = _run("micro", "2" if bench.trial else str(_ROUNDS))
    allocations = _run("micro_allocations")
    return [*_pool(measured["pool"], allocations), *_framing(measured["framing"], allocations)]


def _pool(pool, allocations):
    alone = _contenders(pool["uncontended"])
    ours, timed = "pool, ageless items", "pool, items that age"
    rows = [
        Row.of(f"{name}: acquire and release, uncontended", "<= 60", Measured.of(r["ns"] for r in alone[name]), "ns")
        for name in (ours, timed)
    ]
    tables = [Table("Acquire and release, one thread", ["", "ns", "spread", "allocations"], [
        [name, _median(rounds, _ns), _spread(rounds, _ns), allocations.get(name, "")] for name, rounds in alone.items()
    ])]
    for group in pool["contended"]:
        hold = group["while_holding"]
        contenders = _contenders(group["contenders"])
        if hold == "nothing":
            deadpool = max((name for name in contenders if name.startswith("deadpool")),
                           key=lambda name: _median(contenders[name], _rate))
            for name in (ours, timed):
                for peer in ("r2d2", deadpool):
                    ratio = Measured.of(
                        _rate(a) / _rate(b) for a, b in zip(contenders[name], contenders[peer], strict=True)
                    )
                    rows.append(Row.of(f"{name}: 8 threads on 4 items, borrows a second against {peer}", ">= 2", ratio,
                                       context=f"{_median(contenders[name], _rate) / 1e6:.1f} million a second"))
        tables.append(_contended(hold, contenders))
    return [*rows, *tables]


def _contended(hold, contenders):
    head = ["", "borrows/s", "spread", "CPU ns", "fewest of most", "p50 µs", "p99 µs", "p99.9 µs", "p99.99 µs"]
    rows = [[
        name, _median(rounds, _rate), _spread(rounds, _rate),
        _median(rounds, lambda r: r["throughput"]["cpu_ns_per_borrow"]),
        _median(rounds, lambda r: r["throughput"]["fewest_over_most"]),
        *(_median(rounds, lambda r, key=key: r["acquire"][key]) for key in ("p50_us", "p99_us", "p99.9_us", "p99.99_us")),
    ] for name, rounds in contenders.items()]
    note = "Fewest of most: borrows of the thread that had the fewest, over those of the one that had the most." \
        if hold == "nothing" else ""
    return Table(f"8 threads on 4 items; while holding: {hold}", head, rows, note)


def _framing(framing, allocations):
    contenders = _contenders(framing["contenders"])
    ours = contenders["framing"]
    rows = [
        Row.of(f"framing: an authenticate request encoded and decoded, against {peer}", ">= 2", Measured.of(
            b["both_ns"] / a["both_ns"] for a, b in zip(ours, contenders[peer], strict=True)
        ), context=f"{_median(ours, lambda r: r['both_ns']):.0f} ns")
        for peer in contenders if peer != "framing"
    ]
    rows.append(Row("framing: allocations of that", "<= 0", allocations["framing"]))
    head = ["", "encode ns", "decode ns", "both ns", "spread", "allocations"]
    cells = [[
        name, *(_median(rounds, lambda r, key=key: r[key]) for key in ("encode_ns", "decode_ns", "both_ns")),
        _spread(rounds, lambda r: r["both_ns"]), allocations[name],
    ] for name, rounds in contenders.items()]
    sizes = framing["bytes"]
    note = f"Bytes on the wire: framing {sizes['framing']} with the header of 24, prost {sizes['prost']}."
    return [*rows, Table("An authenticate request", head, cells, note)]


def _run(program, *words):
    done = subprocess.run([PERF_TARGET / program, *words], check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout)


def _contenders(entries):
    return {entry["name"]: entry["rounds"] for entry in entries}


def _ns(found):
    return found["ns"]


def _rate(found):
    return found["throughput"]["borrows_per_second"]


def _median(rounds, key):
    return Measured.of(key(found) for found in rounds).value


def _spread(rounds, key):
    measured = Measured.of(key(found) for found in rounds)
    low, high = measured.low, measured.high
    return f"{low:,.0f} to {high:,.0f}"
