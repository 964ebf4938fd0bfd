// Either end goes at any moment, each way once. RCLUSTER_TORTURE multiplies the rounds: 36 are a thousand faults.

import { describe, expect, test } from 'vitest';

import { fixture, runScript } from '../helpers/run_script.mjs';

const ROUNDS = 7 * Number(process.env.RCLUSTER_TORTURE ?? 1);
const timeout = 60_000 + ROUNDS * 2000;

// NODE_OPTIONS reaches the children too, so that both ends are ours.
const register = `--require ${fixture('../../register.js')}`;

describe.each(['ring', 'wire'])('by %s', (transport) => {
  const env = { NODE_OPTIONS: register, RCLUSTER_IPC: transport };

  test.each(['json', 'advanced'])(
    'children that end in the middle leave nothing behind (%s)',
    { timeout },
    async (serialization) => {
      const result = await runScript(fixture('ipc_faults.cjs'), {
        args: [String(ROUNDS), serialization],
        execArgv: ['--expose-gc'],
        env,
        timeout,
      });
      expect(result).toMatchObject({ code: 0, stdout: 'clean\n', stderr: '' });
    },
  );

  test.each(['json', 'advanced'])('a parent that is killed (%s)', async (serialization) => {
    const result = await runScript(fixture('ipc_orphan.cjs'), { args: [serialization], env });
    expect(JSON.parse(result.stdout)).toEqual({ inOrder: true, some: true });
  });
});
