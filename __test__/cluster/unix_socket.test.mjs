import { existsSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';

import { afterEach, beforeEach, expect, test } from 'vitest';

import { call, endAll, startWorker, startWorkers, takerOf } from '../helpers/cluster.mjs';

let dir;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'rcluster-'));
});
afterEach(async () => {
  await endAll();
  rmSync(dir, { recursive: true });
});

test.each([false, true])(
  'workers share a path, which goes with the last of them (stock: %s)',
  async (stock) => {
    const path = join(dir, 'socket');
    const workers = await startWorkers(2, { stock });
    const indexes = [];
    for (const worker of workers) indexes.push((await call(worker, 'listen', { path })).index);
    const takers = new Set([await takerOf({ path }), await takerOf({ path })]);
    expect(takers).toEqual(new Set(workers.map(({ id }) => id)));
    await call(workers[0], 'close', indexes[0]);
    expect(await takerOf({ path })).toBe(workers[1].id);
    await call(workers[1], 'close', indexes[1]);
    expect(existsSync(path)).toBe(false);
  },
);

test('a relative path is that of the worker', async () => {
  const worker = await startWorker({ settings: { cwd: dir } });
  await call(worker, 'listen', { path: 'socket' });
  expect(await takerOf({ path: join(dir, 'socket') })).toBe(worker.id);
  worker.process.kill();
});

test('a path too long for a socket works where a shorter way leads there', async () => {
  const long = join(dir, 'x'.repeat(60), '..', 'y'.repeat(60), '..', 'socket');
  expect(relative(process.cwd(), join(dir, 'socket')).length).toBeLessThan(100);
  const worker = await startWorker({ settings: { cwd: undefined } });
  await call(worker, 'listen', { path: long });
  expect(await takerOf({ path: join(dir, 'socket') })).toBe(worker.id);
});

test('readableAll and writableAll change the mode', async () => {
  const worker = await startWorker({ settings: { cwd: undefined } });
  const path = join(dir, 'socket');
  await call(worker, 'listen', { path, readableAll: true, writableAll: true });
  expect(statSync(path).mode & 0o666).toBe(0o666);
});
