"""Twenty times as many logins as the machine can serve, for a minute, over connections that are open before: of many
networks, of the networks of one line at home, and of clients of v1, which are one network to auth_back. The peak is a
closed loop of 32 clients on the same servers for ten seconds, the better one of before and after each flood. Beside the
flood: the products on leased sessions in five alternations with and without it, memory, and how soon it is over. Then one
network asks for 95% of all that is asked, and another for a quarter of the capacity, or for all of it. Addresses are told
by a trusted proxy, which is the load generator.
"""

import os
import statistics
import threading
import time
import typing

from figures import common
from figures.results import Row, Table

TITLE = "Overload"

FINDINGS = """
During a flood 0.3% of the machine was idle, so no hash thread waits for work. A refusal takes 51 µs of the front, two
thirds of it the kernel's (44% is the sending, which on loopback includes the receiving of the other side), and 50 µs of
the generator: a tenth of two cores together, of which the hashes have that much less. A loop that rested for 2 ms after each
refusal, to refuse several in one turn, saved 5 µs of these, and was given up. The machine's hashes took between 16.8 and
20.5 ms of CPU within minutes of each other, so single ratios differ by that much: floods of 12 s right after their peaks had
0.90 to 1.05.
By the CPU that a login takes, which differs by a tenth between a peak and the minute beside it, hashes had 0.88 to 0.96 of
what they have in a peak, and the generator 0.05 of the cores.
"""

CLIENTS = 32
FACTOR = 20
# Enough for all that is under way in a second of a flood.
CONNECTIONS = 3_500
AUTH = {"ACCEPT_V1": "true"}
FRONT = {"TRUSTED_PROXIES": "127.0.0.1", "CONNECTIONS_PER_ADDRESS_MAX": 20_000}
USERS = 192

# Who sends the flood: one IPv4 address, or each request another /64 of one /56.
ONE = ["198.51.100.1"]
HOME = [f"2001:db8:0:{number:x}::1" for number in range(256)]
# Networks of users.
MANY = [f"203.0.{number // 250}.{number % 250 + 1}" for number in range(1_000)]
VICTIM = ["192.0.2.1"]


def measure(bench):
    with bench.system(front=FRONT, auth=AUTH) as system:
        system.populate(users=USERS)
        flood = Flood(bench, system, CLIENTS)
        return [*flood.rows(">= 0.90"), *flood.products(), *flood.fairness(), flood.table()]


class Peak(typing.NamedTuple):
    """The best ten seconds so far; compared by logins a second."""

    per_second: float
    cpu_us: float


class Flood:
    """One system, its peak, and what a flood leaves of it."""

    def __init__(self, bench, system, clients, name=""):
        self.bench, self.system, self.clients, self.name = bench, system, clients, name
        # The first seconds after a start know nothing of the machine yet, and may refuse some.
        system.wrk("authenticate", clients, bench.seconds(10), errors_allowed=True)
        self.peak = self.closed_loop().per_second
        self.idle_ms = statistics.median(self.logins_in_a_row(20))

    def closed_loop(self):
        """Logins a second of clients who wait for their answers, and what of auth_back's CPU each took. One that is
        refused asks again at once, so a peak with many refusals would be none."""
        run = self.system.wrk("authenticate", self.clients, self.bench.seconds(10), errors_allowed=True)
        if run.errors > run.requests / 100:
            raise RuntimeError(f"{run.errors} of {run.requests} logins of the peak failed")
        return Peak(run.served_per_second, run.cpu_us["auth_back"] * run.requests / (run.requests - run.errors))

    def rows(self, bound):
        rows = []
        self._floods = []
        v1 = [common.v1_login(f"user-{number}") for number in range(self.system.users)]
        for whose, requests, place in (
            ("many networks", self.requests(MANY), {}),
            ("256 /64 of one /56", self.requests(HOME), {}),
            ("clients of v1", v1, {"base": self.system.rpc}),
        ):
            peak = self.closed_loop()
            before = self.rss()
            grown = {}
            watch = threading.Timer(10, lambda grown=grown: grown.update(self.rss()))
            watch.start()
            load = self.flood(requests, self.bench.seconds(60), **place)
            watch.cancel()
            more = max((self.rss()[name] - (grown or before)[name]) / 2**20 for name in before)
            time.sleep(2)
            after = self.logins_in_a_row(20)
            # Before and after: within minutes, a machine that others use too is another one.
            peak = max(peak, self.closed_loop())
            self._floods.append((whose, load, peak.per_second, more))
            served = self.served(load)
            cpu_us = load.cpu_us["auth_back"] * sum(load.statuses.values()) / max(1, load.statuses.get("200", 0))
            what = f"{self.name}{FACTOR} times the capacity from {whose}"
            rows += [
                Row(f"{what}: goodput of the peak", bound, served / peak.per_second,
                    context=f"{served:.1f} of {peak.per_second:.1f} logins/s; a login took {cpu_us / 1000:.1f} ms of "
                    f"auth_back's CPU, at the peak {peak.cpu_us / 1000:.1f}: by CPU "
                    f"{served * cpu_us / peak.per_second / peak.cpu_us:.3f}; "
                    f"the generator used {self.generator(load):.2f} of the cores"),
                Row(f"{what}: slowest answer", "< 1,000", load.sent_latency_us["max"] / 1000, unit="ms"),
                Row(f"{what}: memory that grows after ten seconds", "<= 8", more, unit="MiB"),
                Row(f"{what}: a login two seconds later, of an idle one", "< 2.00",
                    statistics.median(after) / self.idle_ms, context=f"idle {self.idle_ms:.1f} ms"),
            ]
        return rows

    def table(self):
        rows = []
        for whose, load, peak, more in self._floods:
            seconds = self.seconds(load)
            refused = load.statuses.get("503", 0) / seconds
            other = load.failed - load.statuses.get("503", 0)
            rows.append([whose, load.due / seconds, peak, self.served(load), refused, other,
                         *(load.sent_latency_us[point] / 1000 for point in ("p50", "p99", "max")), more])
        head = ["flood", "asked/s", "peak/s", "served/s", "503/s", "other", "p50 ms", "p99 ms", "max ms", "MiB more"]
        return Table("Logins under a flood", head, rows)

    def products(self):
        """The products on leased sessions, beside a flood and without one, in turn."""

        def alone():
            return self.system.open_loop(self.system.products(), 500, self.bench.seconds(5)).latency_us

        def beside():
            with self.flooded(MANY, self.bench.seconds(5) + 3):
                time.sleep(1)
                return alone()

        run = self.bench.pairs(beside, alone)
        more = run.median_a(lambda latency: latency["p99"]) - run.median_b(lambda latency: latency["p50"])
        return [Row("products under the flood: p99 above the median without it", "<= 20", more / 1000, unit="ms")]

    def fairness(self):
        """What another network gets beside one that asks for 95% of all."""
        rows = []
        for whose, networks in (("one address", ONE), ("256 /64 of one /56", HOME)):
            for share, bound in ((0.25, ">= 0.95"), (1.0, ">= 0.45")):
                peak = self.closed_loop().per_second
                rate = peak * share
                # In a trial, slow hashes would come to no login at all.
                seconds = max(self.bench.seconds(20), 3 / rate)
                with self.flooded(networks, seconds + 3):
                    time.sleep(1)
                    load = self.system.open_loop(self.requests(VICTIM), rate, seconds, connections=256, warm_up=0)
                got = self.served(load)
                what = "of its own logins" if share < 1 else "of the capacity"
                rows.append(
                    Row(f"{self.name}beside {whose}: who asks for {share:.0%} of the capacity gets {what}", bound,
                        got / (rate if share < 1 else peak), context=f"{got:.0f} of {rate:.0f}/s")
                )
        return rows

    def flood(self, requests, seconds, **place):
        rate = self.peak * FACTOR
        return self.system.open_loop(requests, rate, seconds, connections=CONNECTIONS, warm_up=0, **place)

    def flooded(self, networks, seconds):
        return _Beside(lambda: self.flood(self.requests(networks), seconds))

    def requests(self, networks):
        users = self.system.users
        return [
            common.raw_request(
                "POST", "authenticate", {"X-Forwarded-For": network},
                {"username": f"user-{number % users}", "password": common.PASSWORD},
            )
            for number, network in zip(range(max(len(networks), users)), _cycle(networks), strict=False)
        ]

    def logins_in_a_row(self, count):
        """Each raises an error if it is refused. In milliseconds."""
        took = []
        for number in range(count):
            began = time.monotonic()
            self.system.log_in(f"user-{number % self.system.users}")
            took.append((time.monotonic() - began) * 1000)
        return took

    def rss(self):
        return {name: process.rss_bytes() for name, process in self.system.processes().items()}

    def seconds(self, load):
        return load.due / (self.peak * FACTOR)

    def generator(self, load):
        """What of all cores the generator took for itself, which the peak's had no need of."""
        return load.cpu_us["load"] * sum(load.statuses.values()) / self.seconds(load) / 1e6 / os.cpu_count()

    def served(self, load):
        return load.statuses.get("200", 0) * load.answered_per_second / max(1, sum(load.statuses.values()))


class _Beside:
    """Something that goes on while the body of the `with` runs."""

    def __init__(self, work):
        self._thread = threading.Thread(target=work)

    def __enter__(self):
        self._thread.start()

    def __exit__(self, *_):
        self._thread.join()


def _cycle(things):
    while True:
        yield from things
