// Errors in a Node of their own, where nothing has replaced how stacks are written.

import { expect, test } from 'vitest';

import { fixture, runScript } from '../helpers/run_script.mjs';

test('errors print as Node prints them, and their stacks start outside our helper', async () => {
  const [expected, actual] = await Promise.all(
    ['node', 'rcluster'].map((module) => runScript(fixture('error_stacks.cjs'), { module })),
  );
  expect(actual.stderr).toBe(expected.stderr);
  expect(actual.stdout).toBe(expected.stdout);
  expect(actual.stdout).toContain(
    'TypeError [ERR_INVALID_ARG_TYPE]: The "file" argument must be of type string.',
  );
});

test('arguments with a shell are warned of once, on the lines that do', async () => {
  const [expected, actual] = await Promise.all(
    ['node', 'rcluster'].map((module) => runScript(fixture('shell_warning.cjs'), { module })),
  );
  expect(actual).toEqual({ ...expected, stderr: expect.any(String) });
  const warnings = actual.stdout.split('\n').filter((line) => line.includes('DEP0190'));
  expect(warnings.length).toBe(Number(process.versions.node.split('.')[0]) >= 24 ? 1 : 0);
});
