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

test.each(['SIGSTOP', 'SIGTSTP'])('%s while an exec fails', async (signal) => {
  for (let i = 0; i < ROUNDS; i++) {
    // Only the kernel can tell that there is no such processor.
    const child = childProcess.spawn('true', { stdio: 'ignore', affinity: 8000 });
    child.on('error', () => {});
    expect(child.kill(signal)).toBe(false);
    expect(child.pid).toBe(undefined);
    await new Promise((resolve) => child.on('close', resolve));
  }
});
