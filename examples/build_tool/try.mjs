// A hundred programs on each engine.

import assert from 'node:assert';
import { spawnSync } from 'node:child_process';

for (const args of [['100'], ['100', '--node']]) {
  const { status, stdout } = spawnSync(process.execPath, ['main.cjs', ...args], {
    cwd: import.meta.dirname,
    encoding: 'utf8',
  });
  assert.equal(status, 0);
  assert.match(stdout, /^100 programs in [\d.]+ s, event loop held up [\d.]+ ms \(p99\)\n$/);
  process.stdout.write(stdout);
}
