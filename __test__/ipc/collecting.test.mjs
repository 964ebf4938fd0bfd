// Buffers that have arrived are collected while they are young, whatever makes the V8 of this line of Node do so.

import { expect, test } from 'vitest';

import { nodeMajor } from '../parity/both.mjs';
import { fixture, runScript } from '../helpers/run_script.mjs';

test('large buffers that nobody keeps are no reason to collect everything', async () => {
  const { code, stdout, stderr } = await runScript(fixture('ipc_collecting.cjs'), { timeout: 20_000 });
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  const { young, all } = JSON.parse(stdout);
  // 200 MB: for each 33.
  expect(young).toBeGreaterThanOrEqual(4);
  expect(all).toBeLessThan(young / 2);
});

// Older ones go by how much memory hangs on Buffers alone, which the test above has.
test.runIf(nodeMajor >= 24)('nor after gigabytes of them', async () => {
  const count = 600;
  const { code, stdout } = await runScript(fixture('collect.cjs'), { args: [`${count}`], timeout: 20_000 });
  expect(code).toBe(0);
  expect(Number(stdout)).toBeGreaterThan(0.9 * count);
});
