// SIGCHLD stays Node's and the user's: our children are seen by their pidfds.

import { once } from 'node:events';

import { expect, test } from 'vitest';

import { both, ours } from '../parity/both.mjs';

test('listeners of SIGCHLD hear of our children too, and each end is reported once', async () => {
  let heard = 0;
  const listener = () => heard++;
  process.on('SIGCHLD', listener);
  const ends = await Promise.all(
    Array.from({ length: 40 }, async (_, at) => {
      const [, { spawn }] = both[at % 2];
      const child = spawn('sh', ['-c', `exit ${at}`], { stdio: 'ignore' });
      let exits = 0;
      child.on('exit', () => exits++);
      await once(child, 'close');
      return child.exitCode === at && exits === 1;
    }),
  );
  await new Promise((resolve) => setTimeout(resolve, 50));
  process.off('SIGCHLD', listener);
  expect(ends.every(Boolean)).toBe(true);
  expect(heard).toBeGreaterThan(0);
});

test('without a listener of anybody, no handler of SIGCHLD is installed by us', async () => {
  const { execFileSync } = ours;
  // A fresh Node, in which only ours has spawned: libuv installs its handler at its own first spawn.
  const script = `
    const { spawn } = require(${JSON.stringify(new URL('../../lib/child_process/index.js', import.meta.url).pathname)});
    const caught = () => BigInt('0x' + /SigCgt:\\s*(\\w+)/.exec(require('fs').readFileSync('/proc/self/status', 'utf8'))[1]);
    const before = caught();
    spawn('true').on('close', () => console.log(before === caught(), Boolean(caught() & (1n << 16n))));`;
  expect(execFileSync(process.execPath, ['-e', script], { encoding: 'utf8' })).toBe('true false\n');
});
