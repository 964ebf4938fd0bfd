import { pathToFileURL } from 'node:url';

import { describe, expect, test } from 'vitest';

import { both, file, Ours, poolOf, tasks } from './both.mjs';

describe.each(both)('%s', (_name, Pool) => {
  test('CommonJS: the module itself, and by name', async () => {
    const pool = poolOf(Pool);
    expect(await pool.run({ a: 1 })).toEqual({ a: 1 });
    expect(await pool.run(7, { name: 'echo' })).toBe(7);
    expect(await poolOf(Pool, { name: 'echo' }).run(8)).toBe(8);
  });

  test('an ES module: default, named, a promise of a function', async () => {
    const pool = poolOf(Pool, { filename: file('module.mjs') });
    expect(await pool.run(2)).toBe(4);
    expect(await pool.run(2, { name: 'triple' })).toBe(6);
    expect(await pool.run(2, { name: 'late' })).toBe(3);
  });

  test('a transpiled module', async () => {
    const pool = poolOf(Pool, { filename: file('transpiled.cjs') });
    expect(await pool.run(1)).toBe('default 1');
    expect(await pool.run(1, { name: 'other' })).toBe('other 1');
  });

  test('file URLs', async () => {
    const pool = poolOf(Pool, { filename: pathToFileURL(tasks).href });
    expect(await pool.run(1)).toBe(1);
    expect(await pool.run(2, { filename: pathToFileURL(file('module.mjs')).href })).toBe(4);
  });

  test('a file for one task', async () => {
    const pool = poolOf(Pool);
    expect(await pool.run(5, { filename: file('module.mjs') })).toBe(10);
    expect(await pool.run(5)).toBe(5);
  });

  test('no function of that name', async () => {
    const pool = poolOf(Pool);
    const refusal = `No handler function exported from ${tasks}`;
    await expect(pool.run(1, { name: 'missing' })).rejects.toThrow(refusal);
    await expect(pool.run(1, { name: 'notAFunction' })).rejects.toThrow(refusal);
    expect(await pool.run(1)).toBe(1);
  });

  test('a file that is not there, or fails while loading', async () => {
    const pool = poolOf(Pool);
    await expect(pool.run(1, { filename: file('missing.cjs') })).rejects.toThrow(/Cannot find module/);
    await expect(pool.run(1, { filename: file('broken.cjs') })).rejects.toThrow('while loading');
    expect(await pool.run(1)).toBe(1);
  });

  test("the pool's own file fails while loading", async () => {
    const pool = poolOf(Pool, { filename: file('broken.cjs'), minThreads: 1, maxThreads: 1 });
    pool.on('error', () => {});
    await expect(pool.run(1)).rejects.toThrow('while loading');
  });

  test('errors keep their class, message and stack', async () => {
    const error = await poolOf(Pool)
      .run('wrong', { name: 'fail' })
      .catch((reason) => reason);
    expect(error).toBeInstanceOf(TypeError);
    expect(error.message).toBe('wrong');
    expect(error.stack).toContain('tasks.cjs');
  });

  test.each([undefined, 0, 'text', { code: 1 }])('%j can be thrown', async (value) => {
    const reason = await poolOf(Pool)
      .run(value, { name: 'failLater' })
      .then(
        () => 'resolved',
        (error) => [error],
      );
    expect(reason).toEqual([value]);
  });

  test('an iterator cannot be a result', async () => {
    const error = await poolOf(Pool)
      .run(undefined, { name: 'generator' })
      .catch((reason) => reason);
    expect(error).toBeDefined();
  });
});

test('rcluster says why an iterator cannot be a result, and keeps the thread', async () => {
  const pool = poolOf(Ours, { minThreads: 1, maxThreads: 1 });
  const before = await pool.run(undefined, { name: 'threadId' });
  const error = await pool.run(undefined, { name: 'generator' }).catch((reason) => reason);
  expect(error.name).toBe('DataCloneError');
  expect(error.message).toBe('[object Generator] could not be cloned.');
  expect(await pool.run(undefined, { name: 'threadId' })).toBe(before);
});

test('rcluster rejects with null where null is thrown', async () => {
  await expect(poolOf(Ours).run(null, { name: 'failLater' })).rejects.toBe(null);
});
