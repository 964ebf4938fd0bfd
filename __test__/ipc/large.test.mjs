// Large strings go beside their message. What arrives is what JSON makes of it, and memory stays bounded.

import { expect, test } from 'vitest';

import { fixture, runScript } from '../helpers/run_script.mjs';

test('large strings arrive as by JSON, and many of them take no more memory than some', async () => {
  const { code, stdout, stderr } = await runScript(fixture('ipc_large.cjs'), { timeout: 60_000 });
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  // 400 MB went each way between the two looks.
  expect(Math.max(...JSON.parse(stdout))).toBeLessThan(100);
});
