import { once } from 'node:events';

import { describe, expect, test } from 'vitest';

import { waitFor } from '../helpers/wait.mjs';
import { both, gate, poolOf } from './both.mjs';

describe.each(both)('%s', (_name, Pool) => {
  test('minThreads are there from the start', () => {
    const pool = poolOf(Pool, { minThreads: 2, maxThreads: 4 });
    expect([pool.threads.length, pool.minThreads, pool.maxThreads]).toEqual([2, 2, 4]);
    expect(pool.idleThreads).toBe(2);
  });

  test('threads are added up to maxThreads, and go when idle', async () => {
    const { shared, open } = gate();
    const pool = poolOf(Pool, { minThreads: 1, maxThreads: 3, idleTimeout: 50 });
    const runs = Array.from({ length: 5 }, () => pool.run(shared, { name: 'wait' }));
    expect(pool.threads).toHaveLength(3);
    await new Promise((resolve) => setTimeout(resolve, 300));
    open();
    await Promise.all(runs);
    expect(pool.threads.length).toBeGreaterThan(1);
    // On a busy machine Piscina now and then misses that a thread is idle, until the next task.
    await waitFor(async () => (await pool.run(1)) === 1 && pool.threads.length === 1, { interval: 200 });
  });

  test('an infinite idleTimeout', async () => {
    const pool = poolOf(Pool, { minThreads: 1, maxThreads: 2, idleTimeout: Infinity });
    await Promise.all([pool.run(200, { name: 'block' }), pool.run(200, { name: 'block' })]);
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(pool.threads).toHaveLength(2);
  });

  test('no threads at all until there is work', async () => {
    const pool = poolOf(Pool, { minThreads: 0, maxThreads: 1 });
    expect(pool.threads).toHaveLength(0);
    expect(await pool.run(1)).toBe(1);
  });

  test('workerCreate and workerDestroy', async () => {
    const pool = poolOf(Pool, { minThreads: 1, maxThreads: 1 });
    const [created] = await once(pool, 'workerCreate');
    expect(created.id).toBe(pool.threads[0].threadId);
    expect(created.currentUsage).toBe(0);
    expect(created.destroyed).toBe(false);
    const destroyed = once(pool, 'workerDestroy');
    await pool.destroy();
    expect((await destroyed)[0].destroyed).toBe(true);
  });

  test('a histogram for each thread', async () => {
    const pool = poolOf(Pool, { minThreads: 1, maxThreads: 1, workerHistogram: true });
    const [worker] = await once(pool, 'workerCreate');
    await pool.run(1);
    expect(worker.histogram.max).toBeGreaterThan(0);
    expect(worker.histogram).toHaveProperty('p97_5');
  });

  test('tasks are spread over the threads', async () => {
    const pool = poolOf(Pool);
    // On a busy machine a thread may take longer to start than these tasks to run.
    await waitFor(async () => {
      const ids = await Promise.all([pool.run(50, { name: 'block' }), pool.run(50, { name: 'block' })]);
      return new Set(ids).size === 2;
    });
    const all = await Promise.all(Array.from({ length: 6 }, () => pool.run(20, { name: 'block' })));
    expect(new Set(all).size).toBe(2);
  });
});
