import { expect, test } from 'vitest';

import { fixture, runScript } from '../helpers/run_script.mjs';

/** What a script printed, parsed. */
async function outcome(name, options) {
  const { code, signal, stdout, stderr } = await runScript(fixture(name), options);
  expect({ code, signal, stderr }).toEqual({ code: 0, signal: null, stderr: expect.any(String) });
  return JSON.parse(stdout);
}

test("connections flow while the primary's JavaScript stands still", async () => {
  const { count } = await outcome('cluster_blocked_primary.cjs');
  expect(count).toBeGreaterThan(50);
});

test('without descriptors connections wait, with one warning and without a spin', async () => {
  const seen = await outcome('cluster_no_descriptors.cjs', {
    // The hard limit too: Node raises its own as far as it may.
    node: '/bin/sh',
    execArgv: ['-c', 'ulimit -n 100 && exec "$0" "$@"', process.execPath],
  });
  expect(seen).toMatchObject({ servedWithout: false, warnings: ['EMFILE'], code: 0 });
  expect(seen.busy).toBeLessThan(350);
});

test.each(['SCHED_RR', 'SCHED_STICKY'])(
  'under %s a worker without descriptors leaves connections to others, with one warning',
  async (POLICY) => {
    const seen = await outcome('cluster_worker_no_descriptors.cjs', {
      env: { POLICY },
      node: '/bin/sh',
      execArgv: ['-c', 'ulimit -n 100 && exec "$0" "$@"', process.execPath],
    });
    expect(seen).toMatchObject({ served: 3, warnings: ['EMFILE'] });
    expect(seen.busy).toBeLessThan(350);
  },
);

test.each([
  ['rcluster', 'rcluster'],
  ['rcluster', 'node:cluster'],
  ['node:cluster', 'rcluster'],
])('a primary on %s serves with workers on %s', async (primary, worker) => {
  const { served, isSame } = await outcome('cluster_modules.cjs', {
    env: { PRIMARY: primary, WORKER: worker },
  });
  expect(served).toEqual({ 'worker 1': 5, 'worker 2': 5 });
  expect(isSame).toBe(true);
});
