// @ts-check
'use strict';

// `rcluster`: Node's own `cluster` object, with our engine behind it.

const { native } = require('./lib/platform');

/** @type {any} */
const cluster = native ? require('./lib/cluster') : require('node:cluster');

/** Which functions are rcluster's own here; the others are Node's. */
function coverage() {
  const childProcess = ['spawn', 'exec', 'execFile', 'fork', 'spawnSync', 'execSync', 'execFileSync'];
  const table = (/** @type {string[]} */ names) => Object.fromEntries(names.map((name) => [name, native]));
  return {
    child_process: table(childProcess),
    cluster: table(['setupPrimary', 'fork', 'disconnect', 'SCHED_RR', 'SCHED_NONE']),
  };
}

Object.defineProperties(cluster, {
  native: { value: native, configurable: true },
  coverage: { value: coverage, configurable: true, writable: true },
});

module.exports = cluster;

// For `import { fork, isPrimary } from 'rcluster'`: Node finds named exports by this shape, without running it.
0 &&
  (module.exports = {
    SCHED_NONE,
    SCHED_RR,
    Worker,
    coverage,
    disconnect,
    fork,
    isMaster,
    isPrimary,
    isWorker,
    native,
    schedulingPolicy,
    settings,
    setupMaster,
    setupPrimary,
    worker,
    workers,
  });
