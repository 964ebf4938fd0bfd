// What a child sent or wrote before it ended is seen before its end, also where a thread waits in place of a pidfd.

import { expect, test } from 'vitest';

import { fixture, runScript } from '../helpers/run_script.mjs';

test.each(['', 'no-pidfd', 'fork'])('forced: %j', async (forced) => {
  const { stdout, stderr, code } = await runScript(fixture('messages_before_exit.cjs'), {
    env: { RCLUSTER_FORCE: forced },
    args: [String(process.env.RCLUSTER_TEST_ROUNDS ?? 12)],
  });
  expect({ stdout, stderr, code }).toEqual({ stdout: '[]\n', stderr: '', code: 0 });
});
