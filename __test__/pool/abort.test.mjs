import { EventEmitter, once } from 'node:events';

import { describe, expect, test } from 'vitest';

import { both, gate, poolOf } from './both.mjs';

describe.each(both)('%s', (_name, Pool) => {
  test('before', async () => {
    const controller = new AbortController();
    controller.abort('too early');
    const error = await poolOf(Pool)
      .run(1, { signal: controller.signal })
      .catch((reason) => reason);
    expect([error.name, error.message, error.cause]).toEqual([
      'AbortError',
      'The task has been aborted',
      'too early',
    ]);
  });

  test('in the queue: it does not run, and its thread lives', async () => {
    const { shared, open } = gate();
    const pool = poolOf(Pool, { minThreads: 1, maxThreads: 1 });
    const threads = [...pool.threads];
    const busy = pool.run(shared, { name: 'wait' });
    const controller = new AbortController();
    const waiting = pool.run(1, { signal: controller.signal });
    expect(pool.queueSize).toBe(1);
    controller.abort();
    await expect(waiting).rejects.toMatchObject({ name: 'AbortError' });
    expect(pool.queueSize).toBe(0);
    open();
    await busy;
    expect(pool.threads).toEqual(threads);
  });

  test('while it runs: its thread is replaced', async () => {
    const pool = poolOf(Pool, { minThreads: 1, maxThreads: 1 });
    await pool.run(1);
    const [thread] = pool.threads;
    const exited = once(thread, 'exit');
    const controller = new AbortController();
    const running = pool.run(60_000, { name: 'block', signal: controller.signal });
    setTimeout(() => controller.abort(), 50);
    await expect(running).rejects.toMatchObject({ name: 'AbortError' });
    await exited;
    expect(pool.threads).toHaveLength(1);
    expect(pool.threads[0]).not.toBe(thread);
    expect(await pool.run(2)).toBe(2);
  });

  test('after: nothing happens', async () => {
    const pool = poolOf(Pool);
    const controller = new AbortController();
    expect(await pool.run(1, { signal: controller.signal })).toBe(1);
    controller.abort();
    expect(await pool.run(2)).toBe(2);
  });

  test('an EventEmitter as a signal', async () => {
    const pool = poolOf(Pool);
    const signal = new EventEmitter();
    const running = pool.run(60_000, { name: 'sleep', signal });
    setTimeout(() => signal.emit('abort'), 30);
    await expect(running).rejects.toMatchObject({ name: 'AbortError' });
    expect(signal.listenerCount('abort')).toBe(0);
  });

  test('listeners go when the task is done', async () => {
    const signal = new EventEmitter();
    await poolOf(Pool).run(1, { signal });
    expect(signal.listenerCount('abort')).toBe(0);
  });

  test('an abortable task has its thread for itself', async () => {
    const pool = poolOf(Pool, { minThreads: 1, maxThreads: 1, concurrentTasksPerWorker: 4 });
    const controller = new AbortController();
    const running = pool.run(60_000, { name: 'sleep', signal: controller.signal });
    const other = pool.run('other');
    setTimeout(() => controller.abort(), 50);
    await expect(running).rejects.toMatchObject({ name: 'AbortError' });
    expect(await other).toBe('other');
  });
});
