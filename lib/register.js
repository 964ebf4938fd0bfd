'use strict';
// @ts-check

// Replaces the engine behind Node's built-in child_process and cluster, in place: whoever has required them
// already, or imports them later, gets ours.

const { syncBuiltinESMExports } = require('node:module');
const nodeChildProcess = require('node:child_process');

let registered = false;

/** Puts rcluster behind `child_process` and `cluster`. Calling it again does nothing. */
function register() {
  if (registered) return;
  registered = true;

  const { ChildProcess, NodeChildProcess, extraMethods, spawn } = require('./child_process/child');
  const target = /** @type {Record<string, any>} */ (nodeChildProcess);
  const childProcess = /** @type {Record<string, any>} */ (require('./child_process'));
  const { exposeThrough } = require('./child_process/exec');

  // The class users see stays Node's own, so that what they patch on its prototype is what runs.
  target.ChildProcess.prototype.spawn = spawn;
  delete ChildProcess.prototype.spawn;
  Object.defineProperties(NodeChildProcess.prototype, extraMethods);

  for (const name of ['spawn', 'exec', 'execFile', 'fork', 'spawnSync', 'execSync', 'execFileSync']) {
    target[name] = childProcess[name];
  }
  exposeThrough(/** @type {any} */ (nodeChildProcess));
  require('../index.js');
  syncBuiltinESMExports();
}

module.exports = { register };
