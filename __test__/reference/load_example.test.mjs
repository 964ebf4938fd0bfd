import { fileURLToPath } from 'node:url';

import { describe, expect, test } from 'vitest';

import { MODULES, runScript } from '../helpers/run_script.mjs';

const file = (name) => fileURLToPath(new URL(name, import.meta.url));

describe.each(Object.keys(MODULES))('the load example on %s', (module) => {
  // On a slow machine a worker of Node's cluster may disconnect twice, and fails of it.
  test('has the load of each worker in messages', { retry: module === 'node' ? 2 : 0 }, async () => {
    const { code, stdout, stderr } = await runScript(file('load_example.cjs'), { module });
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(/^worker 1 has a load of \d+\nworker 2 has a load of \d+\n$/);
  });
});

test('cluster.loads() tells it without messages', async () => {
  const { code, stdout, stderr } = await runScript(file('load_call.cjs'));
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  const load = {
    adopted: 0,
    open: 0,
    utilization: expect.any(Number),
    silentFor: expect.any(Number),
    rss: expect.any(Number),
  };
  expect(JSON.parse(stdout)).toMatchObject([load, load]);
});
