// Programs written for Node's cluster, unmodified, with the preload in the place of everything else.

import { once } from 'node:events';
import http2 from 'node:http2';
import https from 'node:https';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

import { io } from 'socket.io-client';
import { afterEach, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';

import { endScripts, fixture, startScript } from '../helpers/run_script.mjs';
import { waitFor } from '../helpers/wait.mjs';

const register = fileURLToPath(new URL('../../register.js', import.meta.url));
const ca = readFileSync(fixture('programs/test_cert.pem'));

afterEach(endScripts);

/** Starts a program; the port it says it listens on. */
async function start(name, ...args) {
  const script = startScript(fixture(`programs/${name}.cjs`), { args, execArgv: ['--require', register] });
  const numberAfter = (word) =>
    waitFor(() => Number(new RegExp(`^${word} (\\d+)$`, 'm').exec(script.stdout)?.[1]), {
      timeout: 10_000,
      what: () => `${word}: ${script.stdout}${script.stderr}`,
    });
  return { script, numberAfter, port: await numberAfter('port') };
}

const fetchJson = async (url, options) =>
  (await fetch(url, { ...options, headers: { connection: 'close', ...options?.headers } })).json();

async function workersOf(url, count) {
  const workers = [];
  for (let i = 0; i < count; i++) workers.push((await fetchJson(url)).worker);
  return workers.sort();
}

describe.each(['express', 'fastify'])('%s', (name) => {
  test('routes and bodies are served by both workers', async () => {
    const { port } = await start(name);
    const url = `http://127.0.0.1:${port}`;
    expect(await workersOf(url, 4)).toEqual([1, 1, 2, 2]);
    const body = JSON.stringify({ text: 'x'.repeat(50_000) });
    const options = { method: 'POST', body, headers: { 'content-type': 'application/json' } };
    expect(JSON.stringify(await fetchJson(`${url}/echo`, options))).toBe(body);
    expect((await fetch(`${url}/missing`)).status).toBe(404);
  });
});

test('ws: each client stays at its worker under SCHED_STICKY, whatever connection it comes by', async () => {
  const { port } = await start('ws');
  const ask = async (localAddress, text) => {
    const socket = new WebSocket(`ws://127.0.0.1:${port}`, { localAddress });
    await once(socket, 'open');
    socket.send(text);
    const [answer] = await once(socket, 'message');
    socket.terminate();
    const [worker, echoed] = `${answer}`.split(' ');
    expect(echoed).toBe(text);
    return worker;
  };
  const clients = Array.from({ length: 12 }, (_, i) => `127.0.2.${i + 1}`);
  const first = await Promise.all(clients.map((client) => ask(client, `a${client}`)));
  expect(new Set(first)).toEqual(new Set(['1', '2']));
  for (let round = 0; round < 3; round++) {
    expect(await Promise.all(clients.map((client) => ask(client, `b${round}`)))).toEqual(first);
  }
});

test('socket.io: long polling stays at one worker, and a message reaches clients of both', async () => {
  const { port } = await start('socket_io');
  const clients = Array.from({ length: 4 }, () => {
    const client = io(`http://127.0.0.1:${port}`, { transports: ['polling'], forceNew: true });
    client.number = new Promise((resolve) => client.once('worker', resolve));
    return client;
  });
  try {
    const workers = await Promise.all(clients.map(({ number }) => number));
    expect(new Set(workers)).toEqual(new Set([1, 2]));
    const heard = clients.map((client) => new Promise((resolve) => client.once('heard', resolve)));
    clients[0].emit('shout', 'hello');
    expect(await Promise.all(heard)).toEqual(Array(4).fill('hello'));
  } finally {
    for (const client of clients) client.disconnect();
  }
});

test('prom-client: the primary adds up what its workers count', async () => {
  const { port, numberAfter } = await start('prom_client');
  const metricsPort = await numberAfter('metrics');
  await workersOf(`http://127.0.0.1:${port}`, 6);
  const text = await (await fetch(`http://127.0.0.1:${metricsPort}`)).text();
  expect(text).toContain('served_total{worker="1"} 3');
  expect(text).toContain('served_total{worker="2"} 3');
});

test('log4js: what workers log comes out of the primary', async () => {
  const { port, script } = await start('log4js');
  await workersOf(`http://127.0.0.1:${port}/page`, 2);
  await waitFor(() => [1, 2].every((id) => script.stdout.includes(`worker ${id} served /page`)));
});

test('https: requests and resumed sessions', async () => {
  const { port } = await start('tls');
  let session;
  const get = () =>
    new Promise((resolve, reject) => {
      const options = { port, host: '127.0.0.1', ca, servername: 'localhost', session, agent: false };
      const request = https.get(options, (response) => {
        const reused = response.socket.isSessionReused();
        response.setEncoding('utf8').on('data', (text) => resolve({ ...JSON.parse(text), reused }));
      });
      request.on('error', reject);
      request.on('socket', (socket) => socket.once('session', (ticket) => (session ??= ticket)));
    });
  const answers = [];
  for (let i = 0; i < 4; i++) answers.push(await get());
  expect(answers.map(({ worker }) => worker).sort()).toEqual([1, 1, 2, 2]);
  // The workers share their ticket keys: one resumes what another began.
  expect(answers.slice(1).every(({ reused }) => reused)).toBe(true);
});

// Again where a worker got no processor for some milliseconds: its turn goes to an idle one then, and is made up for later.
test('http2: sessions go round, streams stay', { retry: 2 }, async () => {
  const { port } = await start('tls', 'http2');
  const seen = [];
  for (let i = 0; i < 4; i++) {
    const session = http2.connect(`https://localhost:${port}`, {
      ca,
      lookup: (_, options, found) =>
        found(null, options.all ? [{ address: '127.0.0.1', family: 4 }] : '127.0.0.1', 4),
    });
    const streams = await Promise.all(
      [1, 2, 3].map(async () => {
        const stream = session.request({ ':path': '/' }).setEncoding('utf8');
        const [text] = await once(stream, 'data');
        return JSON.parse(text).worker;
      }),
    );
    session.destroy();
    expect(new Set(streams).size).toBe(1);
    seen.push(streams[0]);
  }
  expect(seen.sort()).toEqual([1, 1, 2, 2]);
});
