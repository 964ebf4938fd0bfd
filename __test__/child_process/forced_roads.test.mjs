// The same tests again where a fall-back is forced: no CLONE_VM without CLONE_VFORK, no CLONE_VM, no pidfds.

import { fileURLToPath } from 'node:url';

import { expect, test } from 'vitest';

import { runScript } from '../helpers/run_script.mjs';

const root = fileURLToPath(new URL('../../', import.meta.url));
const suites = [
  '__test__/child_process/child_state.test.mjs',
  '__test__/child_process/late_failure.test.mjs',
  '__test__/child_process/kill_tree.test.mjs',
  '__test__/parity/events.test.mjs',
  '__test__/parity/kill.test.mjs',
  '__test__/parity/spawn_options.test.mjs',
  '__test__/parity/sync.test.mjs',
];

// Two of them take every fall-back; RCLUSTER_TEST_ROUNDS has each by itself, too.
const roads = ['vfork', 'fork,no-pidfd'];
if (process.env.RCLUSTER_TEST_ROUNDS) roads.push('fork', 'no-pidfd');

test.each(roads)(
  'RCLUSTER_FORCE=%s',
  async (forced) => {
    const { code, stdout } = await runScript(`${root}node_modules/vitest/vitest.mjs`, {
      args: ['run', '--reporter=json', ...suites],
      cwd: root,
      env: { RCLUSTER_FORCE: forced, RCLUSTER_TEST_ROUNDS: '10', VITEST: undefined },
      timeout: 60_000,
    });
    const { numFailedTests, numPassedTests, testResults } = JSON.parse(stdout.slice(stdout.indexOf('{')));
    const failed = testResults.filter(({ status }) => status !== 'passed');
    expect(failed).toEqual([]);
    expect({ code, numFailedTests }).toEqual({ code: 0, numFailedTests: 0 });
    expect(numPassedTests).toBeGreaterThan(100);
  },
  70_000,
);
