'use strict';

// What there is of rcluster under Bun and Deno: everything loads, the host's own modules serve, the rest is refused.

const assert = require('node:assert');
const { once } = require('node:events');

const cluster = require('rcluster');
const { fork, spawn, spawnSync } = require('rcluster/child_process');
require('rcluster/register');

async function main() {
  assert.equal(cluster.native, false);
  assert.equal(spawnSync('echo', ['hello']).stdout.toString(), 'hello\n');
  assert.equal((await once(spawn('true'), 'close'))[0], 0);
  const child = fork(__filename, ['child']);
  assert.equal((await once(child, 'message'))[0], 'from the child');
  const refused = {
    code: 'ERR_RCLUSTER_UNSUPPORTED',
    message: /runs in Node\.js only, and this is (Bun|Deno) \d/,
  };
  assert.throws(() => spawn('true', { dieWithParent: true }), refused);
  assert.throws(() => cluster.broadcast('text'), refused);
  assert.throws(() => require('rcluster/pool'), refused);
  console.log('loads; its own modules serve, what needs the engine is refused');
}

if (process.argv[2] === 'child') process.send('from the child');
else main();
