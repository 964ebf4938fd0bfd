// RCLUSTER_TORTURE=10 is the full 10,000 tasks.

import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

import { expect, test } from 'vitest';

import { file } from './both.mjs';

const scale = Number(process.env.RCLUSTER_TORTURE ?? 1);
const total = 1000 * scale;

test('every task settles once, and nothing is left', { timeout: 60_000 * Math.max(1, scale) }, async () => {
  const seed = Date.now() % 1e6;
  const args = [file('torture.cjs'), `${total}`, `${seed}`];
  const { stdout } = await promisify(execFile)(process.execPath, args, {
    timeout: 55_000 * Math.max(1, scale),
  });
  const { after, before, rejected, resolved, twice } = JSON.parse(stdout);
  expect({ settled: resolved + rejected, twice }, `seed ${seed}`).toEqual({ settled: total, twice: 0 });
  expect(after.fds).toBeLessThanOrEqual(before.fds);
  expect(after.threads).toBeLessThanOrEqual(before.threads);
});
