// RCLUSTER_TORTURE sets the number of spawns: 50,000 for a long run.

import { expect, test } from 'vitest';

import { fixture, runScript } from '../helpers/run_script.mjs';

const COUNT = Number(process.env.RCLUSTER_TORTURE ?? 600);
const timeout = 30_000 + COUNT * 20;

test.each(['', 'vfork', 'fork', 'no-pidfd'])(
  'random spawns, failures and kills leave nothing behind (forced: %j)',
  async (forced) => {
    const count = forced === '' ? COUNT : Math.min(COUNT, 300);
    const { code, stdout, stderr } = await runScript(fixture('spawn_torture.cjs'), {
      args: [String(count), '7'],
      execArgv: ['--expose-gc'],
      env: { RCLUSTER_FORCE: forced },
      timeout,
    });
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const { before, after, grownMiB, outcomes } = JSON.parse(stdout);
    expect(after).toEqual(before);
    // V8 and malloc take some 30 MiB in the first ten thousand spawns, and no more after that.
    expect(grownMiB).toBeLessThan(60);
    // Each kind of failure has really been met.
    expect(Object.keys(outcomes)).toEqual(
      expect.arrayContaining([
        'exit',
        'close',
        'error ENOENT',
        'error EACCES',
        'error EINVAL',
        'thrown E2BIG',
        'thrown EBADF',
      ]),
    );
  },
  timeout,
);
