// A script's two ends see the same on Node's channel and on ours, whichever end is ours: what `send` takes, returns,
// throws, calls back and emits, what arrives, handles, references, and how it ends.

import { expect, test } from 'vitest';

import { fixture, runScript } from '../helpers/run_script.mjs';

const register = ['--require', 'rcluster/register'];
const modes = {
  node: [[], '--no-deprecation'],
  both: [register, register.join(' ')],
  parent: [['--require', fixture('primary_only.cjs')], '--no-deprecation'],
  child: [[], register.join(' ')],
};

/** What each case printed, by its name. */
async function outcomes([execArgv, childArgv]) {
  const { code, stdout, stderr } = await runScript(fixture('ipc_corners.cjs'), {
    module: 'node',
    execArgv,
    env: { CHILD_ARGV: childArgv },
    timeout: 100_000,
  });
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  return Object.fromEntries(
    stdout
      .trim()
      .split('\n')
      .map((line) => [JSON.parse(line).name, JSON.parse(line)]),
  );
}

const node = outcomes(modes.node);

test('the cases say something', { timeout: 120_000 }, async () => {
  const cases = Object.values(await node);
  expect(cases.length).toBeGreaterThan(40);
  for (const { name, parent, child } of cases) {
    expect([name, ...parent, ...child].join('').length).toBeGreaterThan(name.length);
    expect([...parent, ...child]).not.toContain('TIMEOUT');
  }
});

test.each(['both', 'parent', 'child'])('%s of rcluster', { timeout: 120_000 }, async (mode) => {
  expect(await outcomes(modes[mode])).toEqual(await node);
});
