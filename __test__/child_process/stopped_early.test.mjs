// A child that is stopped as soon as it is spawned must not hold up this process.

import { once } from 'node:events';

import { expect, test } from 'vitest';

import { childProcess } from '../helpers/rcluster.mjs';

const ROUNDS = 50 * Number(process.env.RCLUSTER_TEST_ROUNDS ?? 1);

test.each(['SIGSTOP', 'SIGTSTP'])('%s right after spawn, then the pid is read', async (signal) => {
  for (let i = 0; i < ROUNDS; i++) {
    const child = childProcess.spawn('true', { stdio: 'ignore' });
    if (i % 2) child.killTree(signal);
    else child.kill(signal);
    expect(child.pid).toBeGreaterThan(0);
    child.kill('SIGCONT');
    // Either it went on, or it had ended before it was to be stopped.
    const [code, endedBy] = await once(child, 'exit');
    expect([code, endedBy]).toEqual([0, null]);
  }
});
