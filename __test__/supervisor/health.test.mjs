// Workers that are stuck, or grow, or are not well, are seen, told of, and replaced.

import { once } from 'node:events';

import { afterEach, expect, test } from 'vitest';

import { pids, started, stopAll } from '../helpers/supervisor.mjs';
import { isAlive } from '../helpers/process_state.mjs';
import { sleep, waitFor } from '../helpers/wait.mjs';

afterEach(stopAll);

test('a worker in an endless loop is told of with the place where it is, killed and replaced', async () => {
  const { sup, get } = await started({ hangTimeout: 1000 });
  const hung = once(sup, 'worker:hung');
  const answer = get('/spin').catch(({ code }) => code);
  const [worker, { silentFor, stack, state }] = await hung;
  expect(silentFor).toBeGreaterThanOrEqual(1000);
  expect(state).toBe('R');
  expect(stack).toMatch(/^ +at spinForGood \(.*app\.cjs:\d+:\d+\)/);
  expect(stack).toContain('at /spin');
  expect(await answer).toBe('ECONNRESET');
  await waitFor(() => !isAlive(worker.pid));
  await waitFor(() => pids(sup).length === 2);
  expect(sup.workers.find(({ id }) => id === worker.id).lastExit.reason).toContain('stuck for');
  expect((await get('/')).status).toBe(200);
}, 30_000);

test('a worker that is stopped is told of without a stack', async () => {
  const { sup } = await started({ instances: 1, hangTimeout: 600 });
  const [pid] = pids(sup);
  const hung = once(sup, 'worker:hung');
  process.kill(pid, 'SIGSTOP');
  const [, { state }] = await hung;
  expect(state).toBe('T');
  await waitFor(() => !isAlive(pid));
}, 30_000);

test('a worker that leaks is replaced before it has grown far, and no request is lost', async () => {
  const { sup, get } = await started({ instances: 1, recycle: { rss: '220mb' } });
  const [leaking] = pids(sup);
  const recycled = once(sup, 'recycle');
  await get('/leak?mb=50');
  const errors = [];
  const load = { isOver: false };
  const client = (async () => {
    while (!load.isOver) await get('/').catch((error) => errors.push(error.code));
  })();
  const [, { reason, value, limit }] = await recycled;
  expect({ reason, limit }).toEqual({ reason: 'rss', limit: 220 * 2 ** 20 });
  expect(value).toBeLessThan(2 * limit);
  await once(sup, 'worker:exit');
  load.isOver = true;
  await client;
  expect(errors).toEqual([]);
  expect(pids(sup)[0]).not.toBe(leaking);
  expect(sup.status().restarts).toBe(0);
}, 30_000);

test('a worker that nears its heap limit is replaced before V8 ends it', async () => {
  const { sup, get } = await started({ instances: 1, maxOldSpaceMb: 120 });
  const recycled = once(sup, 'recycle');
  const exit = once(sup, 'worker:exit');
  await get('/heap?mb=60');
  expect((await recycled)[1].reason).toBe('heap');
  expect((await exit)[1]).toMatchObject({ code: 0, signal: null });
}, 30_000);

test('a worker is replaced after its number of requests, and after its time', async () => {
  const { sup, get } = await started({ instances: 1, recycle: { requests: 20, jitter: 0 } });
  const [before] = pids(sup);
  const recycled = once(sup, 'recycle');
  for (let turn = 0; turn < 20; turn++) await get('/');
  const [, { reason, value }] = await recycled;
  expect(reason).toBe('requests');
  expect(value).toBeGreaterThanOrEqual(20);
  await once(sup, 'worker:exit');
  expect(pids(sup)[0]).not.toBe(before);

  const other = await started({ instances: 1, recycle: { age: 400 } });
  expect((await once(other.sup, 'recycle'))[1]).toMatchObject({ reason: 'age', limit: 400 });
  await once(other.sup, 'worker:exit');
});

test('a worker that fails its probes is replaced', async () => {
  const probe = { http: '/missing', interval: 50, failures: 2 };
  const { sup } = await started({ instances: 1, probe });
  expect((await once(sup, 'recycle'))[1]).toMatchObject({ reason: 'probe', value: 2 });

  const asked = [];
  const well = await started({
    instances: 1,
    probe: { fn: ({ id }) => asked.push(id), interval: 30, failures: 1 },
  });
  await waitFor(() => asked.length > 2);
  expect(well.sup.metrics().supervisor.recycles).toBe(0);
});

test('a busy primary keeps its times: a worker is killed at its deadline', async () => {
  const { sup, get } = await started({ instances: 1, stopTimeout: 300 });
  const [pid] = pids(sup);
  await get('/stubborn');
  const stopped = sup.stop();
  await sleep(20);
  const until = performance.now() + 2500;
  let wasAliveFor = 0;
  const begun = performance.now();
  while (performance.now() < until) {
    if (wasAliveFor === 0 && !isAlive(pid)) wasAliveFor = performance.now() - begun;
  }
  await stopped;
  expect(wasAliveFor).toBeGreaterThan(0);
}, 30_000);
