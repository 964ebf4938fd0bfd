// Reloads fail nothing, whatever is spoken: bodies, slow answers, answers in pieces, TLS, HTTP/2, WebSockets.

import { once } from 'node:events';
import http from 'node:http';
import http2 from 'node:http2';
import https from 'node:https';
import net from 'node:net';
import tls from 'node:tls';

import { afterEach, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';

import { cluster, pids, started, stopAll } from '../helpers/supervisor.mjs';
import { fixture } from '../helpers/run_script.mjs';
import { sleep, waitFor } from '../helpers/wait.mjs';

const { NGHTTP2_NO_ERROR, NGHTTP2_REFUSED_STREAM } = http2.constants;
const RELOADS = Number(process.env.RCLUSTER_TEST_ROUNDS ?? 1);

afterEach(stopAll);

/** Supervises the server of one kind. @param {string} kind @param {Record<string, any>} [options] */
function serving(kind, options) {
  return started({ exec: fixture('supervisor/protocols.cjs'), env: { KIND: kind }, ...options });
}

/** Clients that go on until told to stop; what was seen. @param {number} count @param {(client: number) => Promise<void>} turn */
function load(count, turn) {
  const seen = { answered: 0, errors: [] };
  const state = { isOver: false };
  const clients = Array.from({ length: count }, async (_, client) => {
    while (!state.isOver) {
      try {
        await turn(client);
        seen.answered++;
        // The workers that start want some of the processor, too.
        await sleep(Math.random() * 20);
      } catch (error) {
        seen.errors.push(error.code ?? error.message);
      }
    }
  });
  return async () => {
    state.isOver = true;
    await Promise.all(clients);
    return seen;
  };
}

/** Reloads again and again while clients ask; none of them may see anything but answers. */
async function reloadUnder({ sup }, count, turn) {
  const finish = load(count, turn);
  for (let reload = 0; reload < RELOADS; reload++) {
    const before = pids(sup);
    await sleep(50);
    await sup.reload();
    expect(pids(sup).filter((pid) => before.includes(pid))).toEqual([]);
  }
  const { answered, errors } = await finish();
  expect(errors).toEqual([]);
  expect(answered).toBeGreaterThan(count);
}

/** One request of HTTP/1.1: the text of the answer. */
function ask({ port, isSecure = false, agent = false, path = '/', body }) {
  const { request } = isSecure ? https : http;
  const method = body === undefined ? 'GET' : 'POST';
  return new Promise((resolve, reject) => {
    const asked = request({ host: '127.0.0.1', port, path, method, agent, rejectUnauthorized: false });
    asked.on('error', reject).on('response', (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (data) => (text += data));
      response.on('error', reject).on('end', () => {
        if (response.statusCode === 200) resolve({ text, headers: response.headers });
        else reject(new Error(`status ${response.statusCode}`));
      });
    });
    asked.end(body);
  });
}

const keepAlive = (module) => new module.Agent({ keepAlive: true, maxSockets: 1 });

describe('plain HTTP', () => {
  test.each([
    ['kept connections', true],
    ['a connection for each', false],
  ])('requests with a body, %s', { timeout: 60_000 }, async (_, isKept) => {
    const { sup, port } = await serving('http');
    const agents = Array.from({ length: 8 }, () => isKept && keepAlive(http));
    await reloadUnder({ sup }, 8, async (client) => {
      // More than fits into the buffers of a socket, now and then.
      const body = `${client}`.repeat(Math.random() < 0.1 ? 2 ** 20 : 100);
      const { text } = await ask({ port, agent: agents[client], path: '/echo', body });
      if (text !== body) throw new Error('another body');
    });
    for (const agent of agents) if (agent) agent.destroy();
  });

  test(
    'where the kernel shares out, kept connections are told that an answer was the last',
    { timeout: 60_000 },
    async () => {
      const { sup, port } = await serving('http', { schedulingPolicy: cluster.SCHED_NONE });
      try {
        const agents = Array.from({ length: 6 }, () => keepAlive(http));
        const last = new Set();
        await reloadUnder({ sup }, 6, async (client) => {
          const { headers } = await ask({ port, agent: agents[client] });
          if (headers.connection === 'close') last.add(client);
        });
        expect(last.size).toBe(6);
        for (const agent of agents) agent.destroy();
      } finally {
        cluster.schedulingPolicy = cluster.SCHED_RR;
      }
    },
  );

  test('answers that take a while, and answers in pieces', { timeout: 60_000 }, async () => {
    const { sup, port } = await serving('http');
    const agents = Array.from({ length: 8 }, () => keepAlive(http));
    await reloadUnder({ sup }, 8, async (client) => {
      const { text } = await ask({ port, agent: agents[client], path: '/pieces?ms=400' });
      if (!/^(\d+\n)\1{9}$/.test(text)) throw new Error('pieces are missing');
      await ask({ port, agent: agents[client], path: '/?ms=600' });
    });
    for (const agent of agents) agent.destroy();
  });

  test(
    'WebSockets are told by onDrain, and none of their messages is lost',
    { timeout: 60_000 },
    async () => {
      const { sup, port } = await serving('http');
      const codes = [];
      const sockets = [];
      const open = async () => {
        const socket = new WebSocket(`ws://127.0.0.1:${port}`);
        socket.setMaxListeners(0);
        socket.on('close', (code) => codes.push(code));
        await once(socket, 'open');
        return socket;
      };
      await reloadUnder({ sup }, 8, async (client) => {
        // Who was told to go connects again.
        if (sockets[client]?.readyState !== WebSocket.OPEN) sockets[client] = await open();
        const socket = sockets[client];
        socket.removeAllListeners('message');
        const answer = new Promise((resolve) => socket.on('message', resolve).on('close', resolve));
        socket.send('hello');
        const text = await answer;
        if (typeof text !== 'number' && !`${text}`.startsWith('hello')) throw new Error(`got ${text}`);
      });
      expect(codes.length).toBeGreaterThanOrEqual(8);
      expect(codes.filter((code) => code !== 1012)).toEqual([]);
      for (const socket of sockets) socket.terminate();
    },
  );
});

describe('TLS', () => {
  test.each([
    ['kept connections', true, 'https'],
    ['a connection for each request', false, 'https'],
    ['kept connections of a server that also speaks HTTP/2', true, 'http2, http/1.1 allowed'],
  ])('%s', { timeout: 60_000 }, async (_, isKept, kind) => {
    const { sup, port } = await serving(kind);
    const agents = Array.from({ length: 6 }, () => isKept && keepAlive(https));
    await reloadUnder({ sup }, 6, async (client) => {
      await ask({ port, isSecure: true, agent: agents[client], path: '/?ms=5' });
    });
    for (const agent of agents) if (agent) agent.destroy();
  });

  test('the next answer on a kept connection says that it was the last', async () => {
    const { sup, port } = await serving('https', { instances: 1 });
    const agent = keepAlive(https);
    const [before] = pids(sup);
    await ask({ port, isSecure: true, agent });
    const slow = ask({ port, isSecure: true, agent, path: '/drain' });
    const reload = sup.reload();
    expect(await slow).toMatchObject({ text: `${before}`, headers: { connection: 'close' } });
    await reload;
    expect((await ask({ port, isSecure: true, agent })).text).toBe(`${pids(sup)[0]}`);
    agent.destroy();
  });

  test('a connection over which nothing has come yet does not hold up a reload', async () => {
    const { sup, port } = await serving('https', { instances: 1, idleGrace: 200 });
    const socket = tls.connect({ host: '127.0.0.1', port, rejectUnauthorized: false });
    await once(socket, 'secureConnect');
    const closed = once(socket.resume(), 'close');
    const { duration } = await sup.reload();
    await closed;
    expect(duration).toBeLessThan(4000);
  });

  test.each(['https', 'http2'])('nor does one that never shakes hands (%s)', async (kind) => {
    const { sup, port } = await serving(kind, { instances: 1, idleGrace: 200 });
    const socket = net.connect(port, '127.0.0.1');
    await once(socket, 'connect');
    // Accepted, too: the answer to another one comes from the same worker.
    if (kind === 'https') await ask({ port, isSecure: true });
    const closed = once(socket.resume(), 'close');
    const { duration } = await sup.reload();
    await closed;
    expect(duration).toBeLessThan(4000);
  });

  test('is no obstacle to a probe', async () => {
    const { sup, events } = await serving('https', {
      instances: 1,
      probe: { http: '/', interval: 20, failures: 1 },
    });
    const [pid] = pids(sup);
    await sleep(500);
    expect(events.filter(({ event }) => event === 'probe')).toEqual([]);
    expect(pids(sup)).toEqual([pid]);
    const failing = await serving('https', {
      instances: 1,
      probe: { http: '/none', interval: 20, failures: 1 },
    });
    expect((await once(failing.sup, 'recycle'))[1]).toMatchObject({ reason: 'probe' });
  });

  test('an idle connection is closed after idleGrace, and not before', async () => {
    const { sup, port } = await serving('https', { instances: 1, idleGrace: 400 });
    const agent = keepAlive(https);
    await ask({ port, isSecure: true, agent });
    const [socket] = Object.values(agent.freeSockets)[0];
    const begun = performance.now();
    const closed = once(socket, 'close').then(() => performance.now() - begun);
    await sup.reload();
    expect(await closed).toBeGreaterThanOrEqual(400);
    agent.destroy();
  });
});

/** A session of HTTP/2 that asks; opened anew once the server has said GOAWAY. */
class Session {
  goaways = [];

  constructor(port, isSecure) {
    this.url = `${isSecure ? 'https' : 'http'}://127.0.0.1:${port}`;
  }

  async open() {
    const session = http2.connect(this.url, { rejectUnauthorized: false });
    session.on('error', () => {});
    session.on('goaway', (code, last) => this.goaways.push({ code, last }));
    this.session = session;
    await once(session, 'connect');
  }

  async ask(path) {
    // A client may use what has not said that it is over.
    if (this.session === undefined || this.session.closed || this.session.destroyed) await this.open();
    const stream = this.session.request({ ':path': path });
    stream.end();
    let text = '';
    try {
      for await (const data of stream.setEncoding('utf8')) text += data;
    } catch (error) {
      // Nobody has looked at it, as a client knows: its own side refuses what it has not sent when a GOAWAY comes.
      if (stream.rstCode === NGHTTP2_REFUSED_STREAM && text === '') return this.ask(path);
      throw error;
    }
    if (text === '') throw new Error('no answer');
    return text;
  }

  close() {
    this.session?.destroy();
  }
}

describe('HTTP/2', () => {
  test.each([
    ['over TLS', 'http2', true],
    ['in clear text', 'http2, clear', false],
  ])('many streams on few sessions, %s', { timeout: 60_000 }, async (_, kind, isSecure) => {
    const { sup, port } = await serving(kind);
    const sessions = Array.from({ length: 3 }, () => new Session(port, isSecure));
    for (const session of sessions) await session.open();
    await reloadUnder({ sup }, 9, async (client) => {
      await sessions[client % 3].ask(`/?ms=${client}`);
    });
    for (const session of sessions) {
      expect(session.goaways.length).toBeGreaterThanOrEqual(1);
      expect(session.goaways.every(({ code }) => code === NGHTTP2_NO_ERROR)).toBe(true);
      session.close();
    }
  });

  test('a stream that is under way is answered; an idle session ends', async () => {
    const { sup, port } = await serving('http2', { instances: 1 });
    const [busy, idle] = [new Session(port, true), new Session(port, true)];
    const [before] = pids(sup);
    await idle.ask('/');
    await busy.ask('/');
    const slow = busy.ask('/drain');
    const reload = sup.reload();
    await waitFor(() => idle.session.destroyed);
    expect(await slow).toBe(`${before}`);
    await reload;
    expect(await busy.ask('/')).toBe(`${pids(sup)[0]}`);
    for (const session of [busy, idle]) session.close();
  });

  test.each([
    ['over TLS', 'http2', true],
    ['in clear text', 'http2, clear', false],
  ])(
    'a request that crosses the GOAWAY to an idle session is known to be unseen, %s',
    async (_, kind, isSecure) => {
      const { sup, port } = await serving(kind, { instances: 1 });
      const session = new Session(port, isSecure);
      const [before] = pids(sup);
      await session.ask('/');
      const first = session.session;
      // The client has not read that the server drains.
      const socket = session.session.socket._handle;
      socket.readStop();
      const isReady = once(sup, 'worker:ready');
      const reload = sup.reload();
      await isReady;
      await sleep(150);
      expect(session.goaways).toEqual([]);
      const answer = session.ask('/');
      await sleep(50);
      socket.readStart();
      // By a second try, which only what is refused gets.
      expect(await answer).not.toBe(`${before}`);
      expect(session.session === first).toBe(false);
      expect(session.goaways.map(({ code }) => code)).toContain(NGHTTP2_NO_ERROR);
      const { duration } = await reload;
      expect(duration).toBeLessThan(2000);
      session.close();
    },
  );

  test('a client that does not answer holds nobody up', async () => {
    const { sup, port } = await serving('http2', { instances: 1, stopTimeout: 3000 });
    const session = new Session(port, true);
    await session.ask('/');
    // Neither reads nor acknowledges anything any more.
    const socket = Object.getOwnPropertySymbols(session.session)
      .map((key) => session.session[key])
      .find((value) => value?.encrypted);
    socket._handle.readStop();
    const exit = once(sup, 'worker:exit');
    await sup.reload();
    expect((await exit)[1]).toMatchObject({ code: 0, signal: null });
    session.close();
  });
});
