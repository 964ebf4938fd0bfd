import { fileURLToPath } from 'node:url';

import { describe, expect, test } from 'vitest';

import { MODULES, runScript } from '../helpers/run_script.mjs';

const file = (name) => fileURLToPath(new URL(name, import.meta.url));

describe.each(Object.keys(MODULES))('the thread example on %s', (module) => {
  test('computes beside the main thread', async () => {
    expect(await runScript(file('threads_example.cjs'), { module })).toEqual({
      code: 0,
      signal: null,
      stdout: 'result 148933, not blocked\n',
      stderr: '',
    });
  });
});

test('pool.run() computes on threads of its own', async () => {
  expect(await runScript(file('threads_call.cjs'))).toEqual({
    code: 0,
    signal: null,
    stdout: 'results 25,168\n',
    stderr: '',
  });
});
