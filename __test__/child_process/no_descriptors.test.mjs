// A process that runs out of descriptors: spawn says so, loses nothing, and goes on when there are some again.

import { describe, expect, test } from 'vitest';

import { fixture, runScript } from '../helpers/run_script.mjs';

describe.each(['', 'vfork', 'fork', 'no-pidfd'])('forced: %j', (forced) => {
  test.each(['ignore', 'pipe', 'ipc'])('EMFILE with stdio %s', async (stdio) => {
    const { stdout, stderr, code } = await runScript(fixture('no_descriptors.cjs'), {
      args: [stdio],
      env: { RCLUSTER_FORCE: forced },
    });
    expect({ stderr, code }).toEqual({ stderr: '', code: 0 });
    const { errors, streams, syncErrors, pids, fdsBefore, fdsAfter, exits, wrong, zombies } =
      JSON.parse(stdout);
    expect(new Set(errors)).toEqual(new Set(['EMFILE spawn true -24']));
    // As in Node: without descriptors there are no streams.
    expect(new Set(streams)).toEqual(new Set(['undefined']));
    expect(new Set(syncErrors)).toEqual(new Set(['EMFILE spawnSync true -24 null']));
    expect(errors.length).toBeGreaterThan(2);
    expect(pids).toEqual([]);
    expect(wrong).toEqual([]);
    expect(fdsAfter).toBe(fdsBefore);
    expect(exits).toBe(5);
    expect(zombies).toBe(0);
  });
});
