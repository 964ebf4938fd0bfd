import { once } from 'node:events';

import { describe, expect, test } from 'vitest';

import { both, gate, Ours, poolOf, settle } from './both.mjs';

describe.each(both)('%s', (_name, Pool) => {
  test('destroy: tasks that have not finished are rejected', async () => {
    const pool = poolOf(Pool, { minThreads: 1, maxThreads: 1 });
    const runs = Array.from({ length: 3 }, () => settle(pool.run(undefined, { name: 'never' })));
    const destroyed = pool.destroy();
    for (const { error } of await Promise.all(runs)) expect(error.message).toBe('Terminating worker thread');
    await destroyed;
    expect(pool.threads).toHaveLength(0);
  });

  test('while it is being destroyed, no task is taken', async () => {
    const pool = poolOf(Pool);
    const destroyed = pool.destroy();
    const error = await pool.run(1).catch((reason) => reason);
    expect([error.name, error.cause]).toEqual(['AbortError', 'queue is being terminated']);
    await destroyed;
  });

  test('close waits for all tasks', async () => {
    const pool = poolOf(Pool);
    const closed = once(pool, 'close');
    const runs = Promise.all([20].map((ms) => pool.run(ms, { name: 'sleep' })));
    await pool.close();
    expect(await runs).toEqual([20]);
    await closed;
    expect(pool.threads).toHaveLength(0);
  });

  test('close with force drops what has not begun', async () => {
    const { shared, open } = gate();
    const pool = poolOf(Pool, { minThreads: 1, maxThreads: 1 });
    await pool.run(1);
    const first = settle(pool.run(shared, { name: 'wait' }));
    await new Promise((resolve) => setTimeout(resolve, 50));
    const second = settle(pool.run(2));
    const closed = pool.close({ force: true });
    setTimeout(open, 50);
    await closed;
    expect((await first).error).toBe(undefined);
    expect((await second).error).toMatchObject({ name: 'AbortError', cause: 'pool is closed' });
  });

  test('close gives up after closeTimeout', async () => {
    const pool = poolOf(Pool, { closeTimeout: 100 });
    const failed = once(pool, 'error');
    const run = settle(pool.run(undefined, { name: 'never' }));
    await pool.close();
    expect((await failed)[0].message).toBe('Close operation timed out');
    expect((await run).error.message).toBe('Terminating worker thread');
  });

  test('wrong options of close', async () => {
    const pool = poolOf(Pool);
    await expect(pool.close(null)).rejects.toThrow('options must be an object');
    await expect(pool.close({ force: 1 })).rejects.toThrow('force argument must be a boolean');
  });

  test('Symbol.asyncDispose', async () => {
    const pool = poolOf(Pool);
    const run = pool.run(20, { name: 'sleep' });
    await pool[Symbol.asyncDispose]();
    expect(await run).toBe(20);
    expect(pool.threads).toHaveLength(0);
  });
});

test('rcluster: close waits for what is queued as well', async () => {
  const pool = poolOf(Ours);
  const runs = Promise.all(Array.from({ length: 30 }, (_, i) => pool.run(i % 10, { name: 'sleep' })));
  await pool.close();
  expect(await runs).toHaveLength(30);
});

test('rcluster: close ends when its last task turns out not to be cloneable', async () => {
  for (const options of [undefined, { force: true }]) {
    const pool = poolOf(Ours, { minThreads: 1, maxThreads: 1, concurrentTasksPerWorker: options ? 2 : 1 });
    await pool.run(1);
    // The other one is asked for when this one has ended.
    const first = settle(pool.run(50, { name: 'block' }));
    const second = settle(pool.run(() => {}));
    await pool.close(options);
    expect((await first).error).toBe(undefined);
    expect((await second).error).toMatchObject({ name: 'DataCloneError' });
  }
});
