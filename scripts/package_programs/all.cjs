'use strict';

// Every export by `require`, each doing something.

const assert = require('node:assert');
const { once } = require('node:events');

const cluster = require('rcluster');
const { exec, fork, spawn, spawnSync } = require('rcluster/child_process');
const Pool = require('rcluster/pool');
require('rcluster/package.json');

async function main() {
  assert.equal(cluster.native, true);
  assert.equal(cluster, require('node:cluster'));
  assert.deepEqual([...new Set(Object.values(cluster.coverage()))], ['rcluster']);
  assert.equal(spawnSync('echo', ['hello'], { encoding: 'utf8' }).stdout, 'hello\n');
  assert.equal(typeof exec, 'function');
  const child = spawn('true', { dieWithParent: true });
  assert.deepEqual(await once(child, 'close'), [0, null]);

  const forked = fork(__filename, ['child']);
  assert.deepEqual(await once(forked, 'message'), ['from the child', undefined]);
  await once(forked, 'close');

  cluster.setupPrimary({ exec: __filename, args: ['worker'] });
  const worker = cluster.fork();
  assert.equal((await once(worker, 'message'))[0], 'from the worker');
  worker.disconnect();
  await once(worker, 'exit');

  const pool = new Pool({ filename: require.resolve('./task.cjs'), maxThreads: 1 });
  assert.equal(await pool.run(20), 21);
  await pool.close();
}

if (process.argv[2] === 'child') process.send('from the child', () => process.disconnect());
else if (process.argv[2] === 'worker') process.send('from the worker');
else main();
