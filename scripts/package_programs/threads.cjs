'use strict';

// Many threads that load it, some at the same time, each with children of its own.

const assert = require('node:assert');
const { once } = require('node:events');
const { Worker, isMainThread } = require('node:worker_threads');

async function main() {
  for (let round = 0; round < 5; round++) {
    const threads = Array.from({ length: 4 }, () => new Worker(__filename));
    assert.deepEqual(
      await Promise.all(threads.map(async (thread) => (await once(thread, 'exit'))[0])),
      [0, 0, 0, 0],
    );
  }
}

if (isMainThread) {
  main();
} else {
  const cluster = require('rcluster');
  const { spawnSync, spawn } = require('rcluster/child_process');
  assert.equal(cluster.native, true);
  assert.equal(spawnSync('true').status, 0);
  spawn('true').on('close', (code) => assert.equal(code, 0));
}
