import { fileURLToPath } from 'node:url';

import { describe, expect, test } from 'vitest';

import { MODULES, runScript } from '../helpers/run_script.mjs';

const example = fileURLToPath(new URL('spawn_example.cjs', import.meta.url));

describe.each(Object.keys(MODULES))('the spawn example on %s', (module) => {
  test('streams output and reports the exit code', async () => {
    const { code, stdout, stderr } = await runScript(example, { module, env: { LC_ALL: 'C' } });
    expect(stderr).toBe('');
    expect(code).toBe(0);
    expect(stdout).toContain(`out: ${example}\n`);
    // A chunk may end anywhere.
    expect(stdout).toMatch(/^err: ls: /m);
    expect(stdout).toContain('/no/such/file');
    expect(stdout.endsWith('closed with 2\n')).toBe(true);
  });
});
