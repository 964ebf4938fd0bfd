import { once } from 'node:events';

import { describe, expect, test } from 'vitest';

import { both, gate, poolOf, settle } from './both.mjs';

describe.each(both)('%s', (name, Pool) => {
  test('maxQueue', async () => {
    const { shared, open } = gate();
    const pool = poolOf(Pool, { minThreads: 1, maxThreads: 1, maxQueue: 2 });
    const runs = Array.from({ length: 3 }, () => pool.run(shared, { name: 'wait' }));
    expect(pool.queueSize).toBe(2);
    await expect(pool.run(1)).rejects.toThrow(new Error('Task queue is at limit'));
    open();
    await Promise.all(runs);
    expect(pool.queueSize).toBe(0);
    expect(await pool.run(1)).toBe(1);
  });

  // Piscina refuses the task but runs it all the same, and now and then throws when its answer comes.
  test.skipIf(name === 'piscina')('no queue at all', async () => {
    const { shared, open } = gate();
    const pool = poolOf(Pool, { minThreads: 1, maxThreads: 1, maxQueue: 0 });
    const busy = pool.run(shared, { name: 'wait' });
    const refused = settle(pool.run(shared, { name: 'wait' }));
    expect((await refused).error.message).toBe('No task queue available and all Workers are busy');
    open();
    await busy;
  });

  test("maxQueue 'auto'", async () => {
    const { shared, open } = gate();
    const pool = poolOf(Pool, { minThreads: 2, maxThreads: 2, maxQueue: 'auto' });
    const runs = Array.from({ length: 6 }, () => pool.run(shared, { name: 'wait' }));
    expect(pool.queueSize).toBe(4);
    await expect(pool.run(1)).rejects.toThrow('Task queue is at limit');
    open();
    await Promise.all(runs);
  });

  test('needsDrain and drain', async () => {
    const pool = poolOf(Pool);
    expect(pool.needsDrain).toBe(false);
    const full = once(pool, 'needsDrain');
    const drained = once(pool, 'drain');
    const runs = Array.from({ length: 6 }, () => pool.run(5, { name: 'sleep' }));
    await full;
    expect(pool.needsDrain).toBe(true);
    await Promise.all(runs);
    await drained;
    expect(pool.needsDrain).toBe(false);
  });

  test('no drain as long as there is room', async () => {
    const pool = poolOf(Pool, { minThreads: 3, maxThreads: 3 });
    let drains = 0;
    pool.on('drain', () => drains++);
    await Promise.all([pool.run(1), pool.run(2)]);
    await new Promise((resolve) => setTimeout(resolve, 10));
    expect(drains).toBe(0);
  });

  test('several tasks in a thread', async () => {
    const pool = poolOf(Pool, { minThreads: 1, maxThreads: 1, concurrentTasksPerWorker: 3, maxQueue: 10 });
    // The start of the thread is not what is timed.
    await pool.run(1);
    const from = Date.now();
    const runs = Array.from({ length: 3 }, () => pool.run(150, { name: 'sleep' }));
    expect(pool.queueSize).toBe(0);
    const fourth = pool.run(1);
    expect(pool.queueSize).toBe(1);
    await Promise.all([...runs, fourth]);
    expect(Date.now() - from).toBeLessThan(600);
  });

  test('one task at a time in a thread', async () => {
    const pool = poolOf(Pool, { minThreads: 1, maxThreads: 1 });
    const from = Date.now();
    await Promise.all([pool.run(60, { name: 'sleep' }), pool.run(60, { name: 'sleep' })]);
    expect(Date.now() - from).toBeGreaterThanOrEqual(118);
  });
});
