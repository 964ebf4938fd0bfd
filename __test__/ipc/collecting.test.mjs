// Buffers that have arrived are collected while they are young, whatever makes the V8 of this line of Node do so.

import { expect, test } from 'vitest';

import { fixture, runScript } from '../helpers/run_script.mjs';

test('large buffers that nobody keeps are no reason to collect everything', async () => {
  const { code, stdout, stderr } = await runScript(fixture('ipc_collecting.cjs'), { timeout: 20_000 });
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  const { young, all } = JSON.parse(stdout);
  // 200 MB: for each 33.
  expect(young).toBeGreaterThanOrEqual(4);
  expect(all).toBeLessThan(young / 2);
});
