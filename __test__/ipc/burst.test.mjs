// Many messages in one tick go down together; what a program can count on of each stays.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { describe, expect, test } from 'vitest';

import { fixture, runScript } from '../helpers/run_script.mjs';

// From Node 22 on, plain Node loses the end of a burst in some of these.
const nodeMajor = Number(process.versions.node.split('.')[0]);

describe.each(nodeMajor < 22 ? ['node', 'rcluster'] : ['rcluster'])('%s', (module) => {
  test.each(
    ['exit', 'throw', 'block'].flatMap((how) =>
      ['json', 'advanced'].map((serialization) => [how, serialization]),
    ),
  )('all of a burst arrives when the sender goes on to %s (%s)', async (how, serialization) => {
    const directory = await mkdtemp(`${tmpdir()}/rcluster-burst-`);
    try {
      const args = [how, `${directory}/flag`, serialization];
      const { code, stdout } = await runScript(fixture('ipc_burst.cjs'), { module, args });
      expect([code, stdout]).toEqual([how === 'throw' ? 1 : 0, '200\n']);
    } finally {
      await rm(directory, { recursive: true });
    }
  });
});
