// Every export by `import`.

import assert from 'node:assert';
import { once } from 'node:events';

import cluster, { fork as forkWorker, isPrimary, native } from 'rcluster';
import childProcess, { execFile, spawn } from 'rcluster/child_process';
import Pool, { Piscina, move } from 'rcluster/pool';

assert.equal(native, true);
assert.equal(isPrimary, true);
assert.equal(cluster.fork, forkWorker);
assert.equal(childProcess.execFile, execFile);
assert.deepEqual(await once(spawn('true'), 'close'), [0, null]);
assert.equal(Pool, Piscina);
assert.equal(typeof move, 'function');
