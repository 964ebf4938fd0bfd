// Once registered, what people wrap on the built-in module is what runs.

import { expect, test } from 'vitest';

import { fixture, runScript } from '../helpers/run_script.mjs';

test('exec calls the execFile of the built-in module', async () => {
  const { stdout, stderr } = await runScript(fixture('patched_exec.cjs'));
  expect(stderr).toBe('');
  expect(stdout.trim().split('\n')).toEqual(['exec', 'execFile', 'done', 'function true', 'true']);
});

test.each([
  ['rcluster', []],
  ['node', ['--require', 'rcluster/register']],
])('a replaced spawn of the class finds the environment (%s)', async (module, execArgv) => {
  const file = fixture('patched_spawn.cjs');
  const [ours, nodes] = await Promise.all([
    runScript(file, { module, execArgv }),
    runScript(file, { module: 'node' }),
  ]);
  expect(nodes).toMatchObject({ code: 0, stderr: '', stdout: expect.stringContaining('1 own true') });
  expect(ours).toEqual(nodes);
});
