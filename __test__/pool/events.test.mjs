import { once } from 'node:events';
import { AsyncLocalStorage } from 'node:async_hooks';

import { describe, expect, test } from 'vitest';

import { both, poolOf } from './both.mjs';

describe.each(both)('%s', (_name, Pool) => {
  test('message: what a thread posts', async () => {
    const pool = poolOf(Pool);
    const message = once(pool, 'message');
    await pool.run({ some: 'thing' }, { name: 'post' });
    expect(await message).toEqual([{ some: 'thing' }]);
  });

  test('an exception outside of the task rejects it', async () => {
    const pool = poolOf(Pool, { minThreads: 1, maxThreads: 1 });
    const error = await pool.run(undefined, { name: 'throwLater' }).catch((reason) => reason);
    expect(error).toBeInstanceOf(RangeError);
    expect(error.message).toBe('later');
    expect(await pool.run(1)).toBe(1);
  });

  test('an exception when no task runs is an error event', async () => {
    const pool = poolOf(Pool, { minThreads: 1, maxThreads: 1 });
    const error = once(pool, 'error');
    await pool.run('setTimeout(() => { throw new Error("stray"); }, 20), 1', { name: 'evaluate' });
    // With `atomics: 'sync'` Piscina's thread sleeps through its timers; a second task lets it look.
    await Promise.race([
      error,
      pool.run(100, { name: 'sleep' }).then(
        () => error,
        () => {},
      ),
    ]);
  });

  test('process.exit() in a task', async () => {
    const pool = poolOf(Pool, { minThreads: 1, maxThreads: 1 });
    await expect(pool.run(7, { name: 'exit' })).rejects.toThrow(/^worker exited with code: 7/);
    await expect(pool.run(8, { name: 'exitLater' })).rejects.toThrow(/^worker exited with code: 8/);
    expect(await pool.run(1)).toBe(1);
  });

  test('the context of the caller is that of what follows', async () => {
    const storage = new AsyncLocalStorage();
    const pool = poolOf(Pool);
    const stores = await Promise.all(
      [1, 2, 3].map((id) =>
        storage.run(id, async () => {
          await pool.run(id);
          return storage.getStore();
        }),
      ),
    );
    expect(stores).toEqual([1, 2, 3]);
  });
});
