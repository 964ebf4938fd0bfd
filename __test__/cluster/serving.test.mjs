import { afterAll, afterEach, describe, expect, test } from 'vitest';

import { call, cluster, endAll, listenAll, startWorker, startWorkers, takerOf } from '../helpers/cluster.mjs';
import { waitFor } from '../helpers/wait.mjs';

afterEach(endAll);
// The end of a process may be known before that of its channel.
afterAll(() => waitFor(() => Object.keys(cluster.workers).length === 0));

/** How often each worker took one of `count` connections, one after the other. */
async function shares(to, count) {
  const taken = new Map();
  for (let i = 0; i < count; i++) {
    const id = await takerOf(to);
    taken.set(id, (taken.get(id) ?? 0) + 1);
  }
  return [...taken.values()];
}

describe.each([
  ['that load rcluster', false],
  ["on Node's own cluster", true],
])('workers %s', (_, stock) => {
  test('share out connections evenly', async () => {
    const workers = await startWorkers(3, { stock });
    const port = await listenAll(workers);
    expect(await shares(port, 30)).toEqual([10, 10, 10]);
  });

  test('serve HTTP', async () => {
    const workers = await startWorkers(2, { stock });
    const port = await listenAll(workers, 'http');
    const ids = [];
    for (let i = 0; i < 4; i++) {
      const response = await fetch(`http://127.0.0.1:${port}`, { headers: { connection: 'close' } });
      ids.push(Number(await response.text()));
    }
    expect(new Set(ids)).toEqual(new Set(workers.map(({ id }) => id)));
  });

  test('that listen on any port get one for all, and another for a second server', async () => {
    const workers = await startWorkers(2, { stock });
    const ports = [];
    for (const worker of workers) {
      const first = await call(worker, 'listen', { port: 0 });
      const second = await call(worker, 'listen', { port: 0 });
      ports.push([first.address.port, second.address.port]);
    }
    expect(ports[0]).toEqual(ports[1]);
    expect(ports[0][0]).not.toBe(ports[0][1]);
  });

  test('without a host are reached by both families', async () => {
    const worker = await startWorker({ stock });
    const { address } = await call(worker, 'listen', { port: 0 });
    expect(await takerOf({ port: address.port, host: '127.0.0.1' })).toBe(worker.id);
    if (address.family === 'IPv6') {
      expect(await takerOf({ port: address.port, host: '::1' })).toBe(worker.id);
    }
  });
});

test('workers of both kinds share one port', async () => {
  const workers = [await startWorker(), await startWorker({ stock: true })];
  const port = await listenAll(workers);
  expect(await shares(port, 20)).toEqual([10, 10]);
});

test('of a thousand connections at once none is refused, and no worker is left out', async () => {
  const workers = await startWorkers(4);
  const port = await listenAll(workers);
  const takers = await Promise.all(Array.from({ length: 1000 }, () => takerOf(port)));
  const counts = workers.map(({ id }) => takers.filter((taker) => taker === id).length);
  expect(counts.reduce((a, b) => a + b)).toBe(1000);
  // Not exact shares, as where each can always take one: who gets no processor for a while is passed over for now.
  for (const count of counts) expect(count).toBeGreaterThan(0);
});

test("the worker's own children do not find the hand-off socket", async () => {
  const worker = await startWorker();
  expect(await call(worker, 'environment', 'RCLUSTER_HANDOFF')).toBeNull();
});
