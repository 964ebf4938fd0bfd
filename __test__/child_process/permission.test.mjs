// Node's permission model holds for children started by the engine too.

import { describe, expect, test } from 'vitest';

import { fixture, runScript } from '../helpers/run_script.mjs';

const nodeMajor = Number(process.versions.node.split('.')[0]);
const flag = nodeMajor >= 22 ? '--permission' : '--experimental-permission';
// Addons are refused by default.
const common = [flag, '--allow-fs-read=*', '--allow-addons', '--no-warnings'];

const run = (module, execArgv) => runScript(fixture('permission.cjs'), { module, execArgv });

describe.each([
  ['children forbidden', common],
  ['children allowed', [...common, '--allow-child-process', '--allow-fs-write=/tmp']],
  ...(nodeMajor >= 24
    ? [['only watched', ['--permission-audit', '--allow-fs-read=*', '--no-warnings']]]
    : []),
])('%s', (_, execArgv) => {
  test('as Node has it', async () => {
    const [expected, actual] = await Promise.all([run('node', execArgv), run('rcluster', execArgv)]);
    expect(actual.stdout).toBe(expected.stdout);
    expect(actual.code).toBe(0);
  });
});

test('a child that is forbidden is not started', async () => {
  const { stdout } = await run('rcluster', common);
  expect(stdout).toContain('ERR_ACCESS_DENIED');
  expect(stdout).not.toContain('allowed');
});
