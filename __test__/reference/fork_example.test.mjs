import { fileURLToPath } from 'node:url';

import { describe, expect, test } from 'vitest';

import { MODULES, runScript } from '../helpers/run_script.mjs';

const example = fileURLToPath(new URL('fork_example.cjs', import.meta.url));

describe.each(Object.keys(MODULES))('the fork example on %s', (module) => {
  test('exchanges a message each way, and both ends end', async () => {
    expect(await runScript(example, { module })).toEqual({
      code: 0,
      signal: null,
      stdout: 'child got {"hello":"world"}\nparent got {"received":true}\nchild exited 0\n',
      stderr: '',
    });
  });
});
