// `runtime: 'process'`: the same pool over forked processes.

import { once } from 'node:events';

import { expect, test } from 'vitest';

import { expectNoLeaks } from '../helpers/leaks.mjs';
import { isAlive } from '../helpers/process_state.mjs';
import { waitFor } from '../helpers/wait.mjs';
import { file, Ours, poolOf, settle } from './both.mjs';

const options = { runtime: 'process', minThreads: 2, maxThreads: 2 };

test('values, errors, names, files', async () => {
  const pool = poolOf(Ours, options);
  expect(await pool.run(new Map([[1, { a: undefined }]]))).toEqual(new Map([[1, { a: undefined }]]));
  await expect(pool.run('no', { name: 'fail' })).rejects.toThrow(new TypeError('no'));
  expect(await pool.run(2, { filename: file('module.mjs') })).toBe(4);
  expect(await pool.map(Array(50).keys())).toEqual(Array.from({ length: 50 }, (_, i) => i));
  expect(await pool.broadcast(1)).toEqual([1, 1]);
  const pids = await Promise.all([1, 2].map(() => pool.run('process.pid', { name: 'evaluate' })));
  expect(pids).not.toContain(process.pid);
});

test('a native crash rejects its task, and the pool goes on', async () => {
  const pool = poolOf(Ours, options);
  const error = await pool.run('process.abort()', { name: 'evaluate' }).catch((reason) => reason);
  expect(error).toMatchObject({ code: 'ERR_RCLUSTER_THREAD_EXITED', signal: 'SIGABRT', exitCode: null });
  expect(await pool.run(1)).toBe(1);
});

test('timeout and abort kill the process', async () => {
  const pool = poolOf(Ours, { ...options, minThreads: 1, maxThreads: 1 });
  const pid = await pool.run('process.pid', { name: 'evaluate' });
  await expect(pool.run(60_000, { name: 'block', timeout: 50 })).rejects.toMatchObject({
    name: 'TimeoutError',
  });
  await waitFor(() => !isAlive(pid));
  const controller = new AbortController();
  const run = settle(pool.run(60_000, { name: 'block', signal: controller.signal }));
  setTimeout(() => controller.abort(), 50);
  expect((await run).error.name).toBe('AbortError');
  expect(await pool.run(1)).toBe(1);
});

test('message, workerData, recycle', async () => {
  const pool = poolOf(Ours, { ...options, workerData: 'data', recycle: { tasks: 5 } });
  const inside = file('inside.cjs');
  expect(await pool.run('../../../pool.js', { filename: inside })).toEqual([true, 'data']);
  const message = once(pool, 'message');
  await pool.run('process.send("hello"), 1', { name: 'evaluate' });
  expect(await message).toEqual(['hello']);
  expect(await pool.map(Array(40).keys())).toHaveLength(40);
  expect(pool.metrics.threadsRecycled).toBeGreaterThan(1);
});

test('nothing is left', async () => {
  await poolOf(Ours, options).destroy();
  await expectNoLeaks(async () => {
    const pool = new Ours({ ...options, filename: file('tasks.cjs') });
    await pool.map([1, 2, 3, 4]);
    await pool.close();
  });
});
