// The Node.js peer: what a user would write with fastify, @node-rs/argon2, and better-sqlite3 or mysql2.
//
//   node server.js HOST:PORT sqlite:FILE|mysql://USER@HOST:PORT/DATABASE
//
// ARGON2 (m=19456,t=2,p=1) is the strength. Prints `ready http://HOST:PORT`. See ../README.md.

import { hash, verify } from '@node-rs/argon2';
import Fastify from 'fastify';
import cluster from 'node:cluster';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { availableParallelism } from 'node:os';

import { openStore } from './store.js';

const SESSION_MS = 12 * 3600 * 1000;
const USERNAME = /^[a-z][a-z0-9._-]{2,31}$/;

const [listen, storeUrl] = process.argv.slice(2);
if (!storeUrl) {
  console.error('server.js HOST:PORT sqlite:FILE|mysql://USER@HOST:PORT/DATABASE');
  process.exit(2);
}
const [host, port] = listen.split(':');

if (cluster.isPrimary) {
  await startWorkers();
} else {
  await serve();
}

// One process a core, as Node's documentation of cluster has it. Each hashes on a thread pool of its own, where
// one thread is enough: more hashes at a time than cores only make each other wait.
async function startWorkers() {
  const store = await openStore(storeUrl);
  await store.migrate();
  await store.close();
  const cores = availableParallelism();
  const workers = Array.from({ length: cores }, () => cluster.fork({ UV_THREADPOOL_SIZE: 1 }));
  cluster.on('exit', () => process.exit(1));
  const listening = await Promise.all(workers.map((worker) => once(worker, 'listening')));
  console.log(`ready http://${host}:${listening[0][0].port}`);
}

async function serve() {
  const store = await openStore(storeUrl);
  const strength = parseStrength(process.env.ARGON2 ?? 'm=19456,t=2,p=1');
  // Read once and kept as text.
  const products = JSON.stringify({ products: await store.products() });
  const app = Fastify({ logger: false });

  app.setErrorHandler((error, request, reply) => {
    const status = error.statusCode ?? 500;
    if (status >= 500) console.error(error);
    return problem(reply, status, status < 500 ? 'bad_request' : 'internal', 'The request was not served.');
  });
  app.setNotFoundHandler((request, reply) => problem(reply, 404, 'no_such_route', 'No such route.'));

  const credentials = {
    type: 'object',
    required: ['username', 'password'],
    properties: {
      username: { type: 'string' },
      password: { type: 'string' },
      name: { type: 'string', maxLength: 255 },
      age: { type: 'integer', minimum: 0, maximum: 255 },
    },
  };
  const answers = (properties) => ({ body: credentials, response: { 200: { type: 'object', properties } } });
  const text = { type: 'string' };

  app.post('/open_api/v1/register', { schema: answers({ user_id: text }) }, async (request, reply) => {
    const { password, name = null, age = null } = request.body;
    const username = request.body.username.toLowerCase();
    if (!USERNAME.test(username) || !isPassword(password)) {
      return problem(reply, 400, 'naming_convention', 'The username or password breaks a rule.');
    }
    const id = await store.insertUser(username, await hash(password, strength), name, age, Date.now());
    if (id === undefined) return problem(reply, 409, 'username_taken', 'The name is taken.');
    return { user_id: String(id) };
  });

  const login = answers({ token: text, expires_in: { type: 'integer' } });
  app.post('/open_api/v1/authenticate', { schema: login }, async (request, reply) => {
    const { username, password } = request.body;
    const user = await store.findUser(username.toLowerCase());
    if (user === undefined) return problem(reply, 404, 'no_such_user', 'There is no such user.');
    if (!(await verify(user.password_hash, password))) {
      return problem(reply, 401, 'wrong_password', 'The password is wrong.');
    }
    const secret = randomBytes(32);
    const now = Date.now();
    await store.insertSession(digestOf(secret), user.id, now, now + SESSION_MS);
    return { token: secret.toString('base64url'), expires_in: SESSION_MS / 1000 };
  });

  app.get('/open_api/v1/products', async (request, reply) => {
    const digest = digestOfToken(request);
    if (digest === undefined || !(await store.sessionIsLive(digest, Date.now()))) return notLive(reply);
    reply.header('content-type', 'application/json');
    return products;
  });

  app.post('/open_api/v1/logout', async (request, reply) => {
    const digest = digestOfToken(request);
    if (digest === undefined || !(await store.endSession(digest, Date.now()))) return notLive(reply);
    return {};
  });

  await app.listen({ host, port: Number(port) });
}

function digestOfToken(request) {
  const [, token] = /^Bearer ([\w-]{43})$/.exec(request.headers.authorization ?? '') ?? [];
  return token === undefined ? undefined : digestOf(Buffer.from(token, 'base64url'));
}

function digestOf(secret) {
  return createHash('sha256').update(secret).digest();
}

function isPassword(password) {
  const length = [...password].length;
  return length >= 8 && length <= 128;
}

function notLive(reply) {
  return problem(reply, 401, 'session_not_live', 'The token is of no live session.');
}

function problem(reply, status, code, title) {
  // Text, so that no serializer is looked for.
  return reply
    .code(status)
    .header('content-type', 'application/problem+json')
    .send(JSON.stringify({ type: `/problems/${code}`, title, status, detail: title }));
}

function parseStrength(words) {
  const { m, t, p } = Object.fromEntries(words.split(',').map((word) => word.split('=')));
  return { memoryCost: Number(m), timeCost: Number(t), parallelism: Number(p) };
}
