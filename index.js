// @ts-check
'use strict';

// `rcluster`: Node's own `cluster` object, with our engine behind it.

const { native } = require('./lib/platform');

/** @type {any} */
const cluster = native ? require('./lib/cluster') : require('./lib/cluster/without_engine');

/** For each function, whose implementation answers it. */
function coverage() {
  const childProcess = ['exec', 'execFile', 'execFileSync', 'execSync', 'fork', 'spawn', 'spawnSync'];
  const names = [
    ...childProcess.map((name) => `child_process.${name}`),
    ...['disconnect', 'fork', 'setupPrimary'].map((name) => `cluster.${name}`),
  ];
  return Object.fromEntries(names.map((name) => [name, native ? 'rcluster' : 'node']));
}

Object.defineProperties(cluster, {
  native: { value: native, configurable: true },
  coverage: { value: coverage, configurable: true, writable: true },
});

module.exports = cluster;

// For `import { fork, isPrimary } from 'rcluster'`: Node finds named exports by this shape, without running it.
0 &&
  (module.exports = {
    SCHED_LEAST_CONN,
    SCHED_LEAST_LOAD,
    SCHED_NONE,
    SCHED_REUSEPORT,
    SCHED_RR,
    SCHED_STICKY,
    Worker,
    availableParallelism,
    broadcast,
    coverage,
    disconnect,
    fork,
    isMaster,
    isPrimary,
    isWorker,
    listenFds,
    loads,
    native,
    onRequest,
    schedulingPolicy,
    settings,
    setupMaster,
    setupPrimary,
    worker,
    workers,
  });
