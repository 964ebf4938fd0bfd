// SCHED_STICKY by what a proxy says in front of a connection.

import { once } from 'node:events';
import http from 'node:http';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';

import { afterEach, expect, test } from 'vitest';

import { call, cluster, endAll, listenAll, startWorkers } from '../helpers/cluster.mjs';

afterEach(async () => {
  await endAll();
  cluster.setupPrimary({ schedulingPolicy: cluster.SCHED_RR, stickyBy: 'address', stickyTimeout: 1000 });
});

function startSticky(count, stickyBy, stickyTimeout = 1000) {
  cluster.setupPrimary({ schedulingPolicy: cluster.SCHED_STICKY, stickyBy, stickyTimeout });
  return startWorkers(count);
}

/** Sends something as the first of a connection; which worker got it, and what it read. */
async function exchange(to, bytes) {
  const socket = net.connect(to);
  socket.on('error', () => {});
  socket.write(bytes);
  const chunks = [];
  socket.on('data', (chunk) => chunks.push(chunk));
  await once(socket, 'close');
  const answer = Buffer.concat(chunks);
  const space = answer.indexOf(32);
  return { id: Number(answer.subarray(0, space)), read: answer.subarray(space + 1) };
}

const version1 = (client) => Buffer.from(`PROXY TCP4 192.0.2.${client} 10.0.0.1 4711 80\r\nhello`);
const version2 = (client) =>
  Buffer.concat([
    Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1'),
    Buffer.from([0x21, 0x11, 0, 12, 192, 0, 2, client, 10, 0, 0, 1, 0x12, 0x67, 0, 80]),
    Buffer.from('hello'),
  ]);

test('by the PROXY protocol, either version, which the server still reads', async () => {
  const workers = await startSticky(3, 'proxy');
  const to = { port: await listenAll(workers, 'firstBytes'), host: '127.0.0.1' };
  const homes = new Set();
  for (let client = 1; client <= 20; client++) {
    const first = await exchange(to, version1(client));
    expect(first.read).toEqual(version1(client));
    const second = await exchange(to, version2(client));
    expect(second.read).toEqual(version2(client));
    expect(second.id).toBe(first.id);
    homes.add(first.id);
  }
  expect(homes.size).toBe(3);
});

test('by X-Forwarded-For, also on a Unix socket; IPv6 by /64', async () => {
  const workers = await startSticky(3, 'x-forwarded-for');
  const socketPath = path.join(os.tmpdir(), `rcluster-sticky-${process.pid}`);
  for (const worker of workers) await call(worker, 'http', { path: socketPath });
  const ask = async (forwarded) => {
    const request = http.get({ socketPath, agent: false, headers: { 'X-Forwarded-For': forwarded } });
    const [response] = await once(request, 'response');
    return Number(await response.toArray().then((chunks) => Buffer.concat(chunks)));
  };
  const homes = new Map();
  for (let client = 1; client <= 20; client++) {
    const home = await ask(`192.0.2.${client}`);
    homes.set(client, home);
    expect(await ask(`192.0.2.${client}:99, 10.0.0.1`)).toBe(home);
  }
  expect(new Set(homes.values()).size).toBe(3);
  const home = await ask('2001:db8:1:2::1');
  expect(await ask('2001:db8:1:2:ffff::9')).toBe(home);
  // The loss of one worker moves its clients only.
  const [lost] = workers;
  lost.process.kill('SIGKILL');
  await once(lost, 'exit');
  for (const [client, home] of homes) {
    const now = await ask(`192.0.2.${client}`);
    if (home === lost.id) expect(now).not.toBe(lost.id);
    else expect(now).toBe(home);
  }
});

test('who sends no header is served after the time-out, and nobody waits behind', async () => {
  const workers = await startSticky(2, 'proxy', 300);
  const to = { port: await listenAll(workers, 'listen'), host: '127.0.0.1' };
  const begin = performance.now();
  const silent = net.connect(to);
  const answered = once(silent, 'data').then(() => performance.now() - begin);
  await exchange(to, version1(1));
  expect(await Promise.race([answered, 'it waits'])).toBe('it waits');
  expect(await answered).toBeGreaterThan(250);
});

test('settings that cannot be are refused', () => {
  const refused = (settings) => () => cluster.setupPrimary(settings);
  expect(refused({ stickyBy: 'cookie' })).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARG_VALUE' }));
  expect(refused({ stickyTimeout: 0 })).toThrow(expect.objectContaining({ code: 'ERR_OUT_OF_RANGE' }));
  expect(refused({ stickyTimeout: '1' })).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARG_TYPE' }));
});
