// The headline: a constant rate of arrivals, whatever the answers take (open loop); every request is
// answered, correctly, in under a second.
//
// Settings come from the environment: BASE (required), PASSWORD, RATE (1000 a second), DURATION (60s),
// SHARES (88,10,2: percent of products, authenticate, register), USERS (50).

import exec from "k6/execution";
import http from "k6/http";
import { check, fail } from "k6";

const base = __ENV.BASE || "http://127.0.0.1:8080";
const password = __ENV.PASSWORD || "correct horse battery";
const rate = Number(__ENV.RATE || 1000);
const duration = __ENV.DURATION || "60s";
const [products, authenticate, register] = (__ENV.SHARES || "88,10,2").split(",").map(Number);
const users = Number(__ENV.USERS || 50);

// Arrivals per ten seconds: rates below one a second are whole numbers then, too.
const perTenSeconds = (share) => Math.round((rate * 10 * share) / 100);

const scenario = ({ exec, share, vus }) => ({
  executor: "constant-arrival-rate",
  exec,
  rate: perTenSeconds(share),
  timeUnit: "10s",
  duration,
  preAllocatedVUs: vus,
  maxVUs: 4 * vus,
});

// Enough virtual users that none is missing while answers take a tenth of a second.
const kinds = Object.entries({
  products: { exec: "view", share: products, vus: 100 },
  authenticate: { exec: "logIn", share: authenticate, vus: 50 },
  register: { exec: "signUp", share: register, vus: 20 },
}).filter(([, kind]) => kind.share > 0);

// A threshold on a scenario also makes the summary show its figures apart.
const slowest = kinds.map(([name]) => [`http_req_duration{scenario:${name}}`, ["max<1000"]]);

export const options = {
  scenarios: Object.fromEntries(kinds.map(([name, kind]) => [name, scenario(kind)])),
  thresholds: Object.fromEntries([
    ["http_req_failed", ["rate==0"]],
    ["dropped_iterations", ["count==0"]],
    ["checks", ["rate==1"]],
    ...slowest,
  ]),
  summaryTrendStats: ["min", "med", "p(90)", "p(99)", "p(99.9)", "max"],
  discardResponseBodies: true,
  setupTimeout: "120s",
};

const json = { headers: { "Content-Type": "application/json" } };

const credentials = (username) => JSON.stringify({ username, password });

function mustRegister(username) {
  const registered = http.post(`${base}/open_api/v1/register`, credentials(username), json);
  if (registered.status !== 200) fail(`register: ${registered.status}`);
  return username;
}

// Users that log in, and sessions of other users: who logs in again and again ends their oldest ones
// (--sessions-per-user).
export function setup() {
  const run = `s${Date.now().toString(36)}`;
  const names = [];
  const sessions = [];
  for (let i = 0; i < users; i++) {
    names.push(mustRegister(`${run}-${i}`));
    const viewer = mustRegister(`${run}-viewer-${i}`);
    const withBody = { ...json, responseType: "text" };
    const login = http.post(`${base}/open_api/v1/authenticate`, credentials(viewer), withBody);
    if (login.status !== 200) fail(`authenticate: ${login.status}`);
    sessions.push(`Bearer ${login.json("token")}`);
  }
  return { run, names, sessions };
}

const turn = (list) => list[exec.scenario.iterationInTest % list.length];

const isOk = { "status is 200": (answer) => answer.status === 200 };

export function view({ sessions }) {
  const headers = { Authorization: turn(sessions) };
  check(http.get(`${base}/open_api/v1/products`, { headers }), isOk);
}

export function logIn({ names }) {
  const body = credentials(turn(names));
  check(http.post(`${base}/open_api/v1/authenticate`, body, json), isOk);
}

export function signUp({ run }) {
  const body = credentials(`${run}-new-${exec.scenario.iterationInTest}`);
  check(http.post(`${base}/open_api/v1/register`, body, json), isOk);
}
