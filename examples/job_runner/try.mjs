// Each of the four jobs comes to the end that its limit says.

import assert from 'node:assert';
import { spawnSync } from 'node:child_process';

const { stdout, status } = spawnSync(process.execPath, ['main.cjs'], {
  cwd: import.meta.dirname,
  encoding: 'utf8',
});
process.stdout.write(stdout);
assert.equal(status, 0);
const [fine, greedy, endless, late] = stdout.trim().split('\n');
assert.match(fine, /^fine: ok,/);
// As Node ends when it gets no memory.
assert.match(greedy, /^greedy: (SIG|exit code)/);
assert.match(endless, /^endless: SIG(XCPU|KILL),/);
assert.match(late, /^late: SIGTERM,/);
