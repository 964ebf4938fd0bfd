import { afterEach, describe, expect, test } from 'vitest';

import { call, endAll, greeted, listenAll, startWorkers } from '../helpers/cluster.mjs';
import { sleep, waitFor } from '../helpers/wait.mjs';

afterEach(endAll);

describe.each([
  ['that load rcluster', false],
  ["on Node's own cluster", true],
])('workers %s', (_, stock) => {
  test('take no more than maxConnections; the rest goes to others, or waits for room', async () => {
    const workers = await startWorkers(2, { stock });
    const port = await listenAll([workers[0]], 'hold', { maxConnections: 2 });
    await listenAll([workers[1]], 'hold', { maxConnections: 3 });
    const first = await Promise.all(Array.from({ length: 5 }, () => greeted(port)));
    const countOf = ({ id }) => first.filter((taken) => taken.id === id).length;
    expect([countOf(workers[0]), countOf(workers[1])]).toEqual([2, 3]);

    let isTaken = false;
    const waiting = greeted(port).then((taken) => {
      isTaken = true;
      return taken;
    });
    await sleep(100);
    expect(isTaken).toBe(false);
    await call(workers[0], 'dropOne');
    expect((await waiting).id).toBe(workers[0].id);
  });
});

test('a full cluster costs nothing while it waits', async () => {
  const workers = await startWorkers(2);
  const port = await listenAll(workers, 'hold', { maxConnections: 1 });
  await Promise.all([greeted(port), greeted(port)]);
  for (let i = 0; i < 10; i++) void greeted(port).catch(() => {});
  await sleep(50);
  const before = process.cpuUsage();
  await sleep(500);
  const { user, system } = process.cpuUsage(before);
  expect((user + system) / 1000).toBeLessThan(100);
});

test('a closed server gives back what comes for it', async () => {
  const workers = await startWorkers(2);
  const port = await listenAll(workers);
  const closed = call(workers[0], 'close', 0);
  const takers = await Promise.all(Array.from({ length: 50 }, () => greeted(port)));
  await closed;
  expect(takers.length).toBe(50);
  await waitFor(async () => (await greeted(port)).id === workers[1].id);
});
