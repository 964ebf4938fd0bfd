// What rcluster's pool has beyond Piscina's.

import { once } from 'node:events';

import { expect, test } from 'vitest';

import { waitFor } from '../helpers/wait.mjs';
import { gate, Ours, poolOf, settle } from './both.mjs';

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

test('a higher priority goes first', async () => {
  const { shared, open } = gate();
  const pool = poolOf(Ours, { minThreads: 1, maxThreads: 1 });
  await pool.run(0);
  const order = [];
  const busy = pool.run(shared, { name: 'wait' });
  await pause(20);
  const runs = [0, 1, -1, 5, 0].map((priority, i) =>
    pool.run(i, { priority }).then((value) => order.push(value)),
  );
  open();
  await Promise.all([busy, ...runs]);
  expect(order).toEqual([3, 1, 0, 4, 2]);
});

test.each([1.5, '1', 2e6])('priority %j is refused', async (priority) => {
  await expect(poolOf(Ours).run(1, { priority })).rejects.toThrow(TypeError);
});

test('timeout ends a task that runs, and one that waits', async () => {
  const pool = poolOf(Ours, { minThreads: 1, maxThreads: 1 });
  await pool.run(1);
  const running = settle(pool.run(60_000, { name: 'block', timeout: 100 }));
  const waiting = settle(pool.run(1, { timeout: 30 }));
  const after = pool.run('after');
  for (const { error } of [await running, await waiting]) {
    expect([error.name, error.code]).toEqual(['TimeoutError', 'ERR_RCLUSTER_TASK_TIMEOUT']);
  }
  expect(await after).toBe('after');
  expect(pool.metrics.timedOut).toBe(2);
});

test('map keeps the order, and the number in flight', async () => {
  const pool = poolOf(Ours);
  let open = 0;
  let most = 0;
  async function* numbers() {
    for (let i = 0; i < 40; i++) {
      most = Math.max(most, ++open);
      yield i;
    }
  }
  const results = await pool.map(numbers(), { concurrency: 3, name: 'echo' });
  expect(results).toEqual(Array.from({ length: 40 }, (_, i) => i));
  expect(await pool.map(new Set([1, 2, 3]))).toEqual([1, 2, 3]);
  expect(await pool.map([])).toEqual([]);
});

test('map stops at the first failure', async () => {
  const pool = poolOf(Ours);
  let taken = 0;
  let isClosed = false;
  function* numbers() {
    try {
      for (;;) yield ++taken === 5 ? 'process.nope()' : '1';
    } finally {
      isClosed = true;
    }
  }
  await expect(pool.map(numbers(), { concurrency: 2, name: 'evaluate' })).rejects.toThrow(TypeError);
  const takenThen = taken;
  await pause(20);
  expect(taken).toBe(takenThen);
  expect(isClosed).toBe(true);
  await expect(pool.map(5)).rejects.toThrow('iterable');
});

test('broadcast runs on each thread', async () => {
  const pool = poolOf(Ours, { minThreads: 3, maxThreads: 3 });
  const ids = await pool.broadcast(undefined, { name: 'threadId' });
  expect(ids.toSorted()).toEqual(pool.threads.map(({ threadId }) => threadId).toSorted());
});

test('metrics', async () => {
  const pool = poolOf(Ours);
  await Promise.all([pool.run(1), settle(pool.run('x', { name: 'fail' }))]);
  expect(pool.metrics).toMatchObject({
    completed: 2,
    failed: 1,
    inFlight: 0,
    threads: 2,
    queued: 0,
    taken: 2,
  });
});

test('recycle after a number of tasks: nothing is lost', async () => {
  const pool = poolOf(Ours, { recycle: { tasks: 20 } });
  const before = pool.threads.map(({ threadId }) => threadId);
  const ids = await pool.map(Array(100).fill(1), { name: 'sleep' });
  expect(ids).toHaveLength(100);
  // A thread that was slow to start has had fewer than its share.
  await waitFor(async () => {
    await pool.map(Array(10).fill(1));
    return pool.threads.every(({ threadId }) => !before.includes(threadId));
  });
  await waitFor(() => pool.threads.length === 2);
  expect(pool.metrics.threadsRecycled).toBeGreaterThanOrEqual(2);
});

test('recycle by age and by heap', async () => {
  const old = poolOf(Ours, { minThreads: 1, maxThreads: 1, recycle: { age: 50 } });
  const [first] = old.threads;
  await old.run(1);
  await pause(60);
  await old.run(1);
  await waitFor(() => old.threads[0] !== first && old.threads.length === 1);

  const fat = poolOf(Ours, { minThreads: 1, maxThreads: 1, recycle: { heap: 1 } });
  const [thin] = fat.threads;
  await fat.map(Array(40).keys());
  await waitFor(() => fat.threads[0] !== thin && fat.threads.length === 1);
  expect(await fat.run(1)).toBe(1);
});

test('a thread that ends names the task, the thread and the code', async () => {
  const pool = poolOf(Ours, { minThreads: 1, maxThreads: 1 });
  await pool.run(1);
  const [{ threadId }] = pool.threads;
  const error = await pool.run(9, { name: 'exit' }).catch((reason) => reason);
  expect(error).toMatchObject({ code: 'ERR_RCLUSTER_THREAD_EXITED', exitCode: 9, threadId });
  expect(error.message).toContain(`thread ${threadId}`);
  expect(error.message).toContain('exit of');
  expect(pool.metrics.threadsCrashed).toBe(1);
});

test('terminate() of a thread rejects what it runs; what it had not begun is run', async () => {
  const pool = poolOf(Ours, { minThreads: 1, maxThreads: 1 });
  await pool.run(1);
  const running = settle(pool.run(60_000, { name: 'block' }));
  const waiting = Promise.all([1, 2, 3].map((i) => pool.run(i)));
  await pause(20);
  pool.threads[0].terminate();
  expect((await running).error.code).toBe('ERR_RCLUSTER_THREAD_EXITED');
  expect(await waiting).toEqual([1, 2, 3]);
});

test('a long task strands no short ones', async () => {
  const pool = poolOf(Ours);
  await Promise.all([pool.run(1), pool.run(1)]);
  const from = performance.now();
  const long = pool.run(1000, { name: 'block' });
  const short = Array.from({ length: 200 }, () => pool.run(0, { name: 'block' }));
  await Promise.all(short);
  expect(performance.now() - from).toBeLessThan(700);
  await long;
});

test('a long task in the middle of many', async () => {
  const pool = poolOf(Ours);
  await Promise.all([pool.run(1), pool.run(1)]);
  const from = performance.now();
  const runs = Array.from({ length: 300 }, (_, i) =>
    pool.run(i === 40 ? 1000 : 0, { name: 'block' }).then(() => performance.now() - from),
  );
  const ends = await Promise.all(runs);
  expect(ends.filter((end) => end > 800)).toHaveLength(1);
});

test('a thread that waits in a task serves its timers and other tasks', async () => {
  const pool = poolOf(Ours, { minThreads: 1, maxThreads: 1, concurrentTasksPerWorker: 2 });
  await pool.run('warm');
  const slow = pool.run(300, { name: 'sleep' });
  await pause(20);
  const from = performance.now();
  expect(await pool.run('quick')).toBe('quick');
  expect(performance.now() - from).toBeLessThan(200);
  expect(await slow).toBe(300);
});

test('an idle thread serves its timers', async () => {
  const pool = poolOf(Ours, { minThreads: 1, maxThreads: 1 });
  const message = once(pool, 'message');
  const code = 'setTimeout(() => require("node:worker_threads").parentPort.postMessage("tick"), 30), 1';
  await pool.run(code, { name: 'evaluate' });
  expect(await message).toEqual(['tick']);
});

test('pools inside pool threads', async () => {
  const code = `(async () => {
    const Pool = require(${JSON.stringify(new URL('../../pool.js', import.meta.url).pathname)});
    const pool = new Pool({ filename: ${JSON.stringify(new URL('../fixtures/pool/tasks.cjs', import.meta.url).pathname)}, maxThreads: 1 });
    const results = await pool.map([1, 2, 3]);
    await pool.destroy();
    return results;
  })()`;
  const pool = poolOf(Ours);
  expect(await pool.run(code, { name: 'evaluate' })).toEqual([1, 2, 3]);
});

test('idle threads take no CPU time', async () => {
  const pool = poolOf(Ours);
  await pool.map([1, 2, 3]);
  await pause(100);
  const before = process.cpuUsage();
  await pause(500);
  const { user, system } = process.cpuUsage(before);
  expect((user + system) / 1000).toBeLessThan(25);
});
