// Once registered, what people wrap on the built-in module is what runs.

import { expect, test } from 'vitest';

import { fixture, runScript } from '../helpers/run_script.mjs';

test('exec calls the execFile of the built-in module', async () => {
  const { stdout, stderr } = await runScript(fixture('patched_exec.cjs'));
  expect(stderr).toBe('');
  expect(stdout.trim().split('\n')).toEqual(['exec', 'execFile', 'done', 'function true', 'true']);
});
