// better-auth as its documentation sets it up, behind node:http and over better-sqlite3.
//
//   node server.js HOST:PORT sqlite:FILE
//
// COOKIE_CACHE=true answers for sessions from a signed cookie. Prints `ready http://HOST:PORT`. See ../README.md.

import { betterAuth } from 'better-auth';
import { getMigrations } from 'better-auth/db/migration';
import { toNodeHandler } from 'better-auth/node';
import Database from 'better-sqlite3';
import cluster from 'node:cluster';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { availableParallelism } from 'node:os';

const [listen, storeUrl] = process.argv.slice(2);
if (!storeUrl?.startsWith('sqlite:')) {
  console.error('server.js HOST:PORT sqlite:FILE');
  process.exit(2);
}
const [host, port] = listen.split(':');

if (cluster.isPrimary) {
  await startWorkers();
} else {
  serve();
}

// One process a core. Each hashes on a thread pool of its own, where one thread is enough: more hashes at a time than
// cores only make each other wait.
async function startWorkers() {
  const secret = randomBytes(32).toString('base64url');
  const { runMigrations } = await getMigrations(options(secret));
  await runMigrations();
  const environment = { UV_THREADPOOL_SIZE: 1, BETTER_AUTH_SECRET: secret };
  const workers = Array.from({ length: availableParallelism() }, () => cluster.fork(environment));
  cluster.on('exit', () => process.exit(1));
  const listening = await Promise.all(workers.map((worker) => once(worker, 'listening')));
  console.log(`ready http://${host}:${listening[0][0].port}`);
}

function serve() {
  const auth = betterAuth(options(process.env.BETTER_AUTH_SECRET));
  createServer(toNodeHandler(auth)).listen(Number(port), host);
}

function options(secret) {
  const database = new Database(storeUrl.slice('sqlite:'.length), { timeout: 5000 });
  database.pragma('journal_mode = WAL');
  database.pragma('synchronous = FULL');
  return {
    secret,
    database,
    baseURL: `http://${host}`,
    emailAndPassword: { enabled: true },
    session: { cookieCache: { enabled: process.env.COOKIE_CACHE === 'true', maxAge: 300 } },
    // One client sends all of the load.
    rateLimit: { enabled: false },
    telemetry: { enabled: false },
    logger: { level: 'error' },
  };
}
