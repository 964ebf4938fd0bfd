// A task for which a thread has room goes to it when `run` is called: who has called it may block from then on.

import { describe, expect, test } from 'vitest';

import { both, gate, poolOf, settle } from './both.mjs';

/** Blocks until so many tasks have told. */
function waitFor(told, count) {
  for (let seen; (seen = Atomics.load(told, 0)) < count;) {
    if (Atomics.wait(told, 0, seen, 10_000) === 'timed-out') return false;
  }
  return true;
}

describe.each(both)('%s', (_name, Pool) => {
  test.each([
    ['a plain value', () => ({ plain: true })],
    ['a long text', () => 'text'.repeat(1000)],
    ['a Map', () => new Map([[1, 2]])],
    ['shared memory', () => new SharedArrayBuffer(4)],
    ['a big buffer', () => new Uint8Array(1 << 20)],
  ])('%s, to threads that are starting, and to those that wait', async (_value, make) => {
    const told = new Int32Array(new SharedArrayBuffer(4));
    const pool = poolOf(Pool, { workerData: told });
    for (const count of [2, 4, 6]) {
      const runs = [pool.run(make(), { name: 'tell' }), pool.run(make(), { name: 'tell' })];
      expect(waitFor(told, count)).toBe(true);
      await Promise.all(runs);
    }
  });

  test('idleThreads', async () => {
    const { shared, open } = gate();
    const pool = poolOf(Pool);
    const idle = [pool.idleThreads];
    const runs = [1, 2, 3].map(() => {
      const run = pool.run(shared, { name: 'wait' });
      idle.push(pool.idleThreads);
      return run;
    });
    expect(idle).toEqual([2, 1, 0, 0]);
    open();
    await Promise.all(runs);
    expect(pool.idleThreads).toBe(2);
    const plain = pool.run(1);
    expect(pool.idleThreads).toBe(1);
    await plain;
  });

  test('close with force leaves what threads have room for', async () => {
    const pool = poolOf(Pool, { minThreads: 1, maxThreads: 1, concurrentTasksPerWorker: 2 });
    const runs = [1, 2, 3].map((ms) => settle(pool.run(ms, { name: 'sleep' })));
    await pool.close({ force: true });
    const ends = await Promise.all(runs);
    expect(ends.map(({ value }) => value)).toEqual([1, 2, undefined]);
    expect(ends[2].error.name).toBe('AbortError');
  });

  test('an abortable task takes all places of its thread', async () => {
    const { shared, open } = gate();
    const pool = poolOf(Pool, { minThreads: 1, maxThreads: 1, concurrentTasksPerWorker: 2 });
    const { signal } = new AbortController();
    const runs = [pool.run(shared, { name: 'wait', signal }), pool.run(1)];
    expect(pool.queueSize).toBe(1);
    open();
    await Promise.all(runs);
    expect(pool.queueSize).toBe(0);
  });

  test('tasks that cannot be sent leave their places to others', async () => {
    const pool = poolOf(Pool, { minThreads: 1, maxThreads: 1, concurrentTasksPerWorker: 2 });
    await pool.run(1);
    for (let round = 0; round < 20; round++) {
      const runs = [pool.run(1, { name: 'sleep' }), pool.run(1, { name: 'sleep' })];
      const refused = [1, 2, 3, 4].map(() => settle(pool.run({ it() {} })));
      runs.push(pool.run(2), pool.run(3));
      expect(await Promise.all(runs)).toEqual([1, 1, 2, 3]);
      for (const { error } of await Promise.all(refused)) expect(error.name).toBe('DataCloneError');
    }
  });
});
