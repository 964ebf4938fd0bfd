'use strict';

// Run with `--require rcluster/register` or `--import`: Node's own modules are rcluster's.

const assert = require('node:assert');
const childProcess = require('node:child_process');
const cluster = require('node:cluster');

assert.equal(cluster.native, true);
assert.deepEqual([...new Set(cluster.coverage ? Object.values(cluster.coverage()) : [])], ['rcluster']);
assert.equal(childProcess.execFileSync('echo', ['hello'], { encoding: 'utf8' }), 'hello\n');

async function main() {
  const { spawn } = await import('node:child_process');
  assert.equal(spawn, childProcess.spawn);
  assert.equal(spawn, require('rcluster/child_process').spawn);
}

main();
