'use strict';
// @ts-check

// `rcluster`: Node's own `cluster` object, with our engine behind it.

function load() {
  // Only a worker has a channel, and only in the beginning it is content with less.
  if (process.connected && require('./lib/cluster/newborn').begin()) return require('node:cluster');
  require = require('./lib/loader').within(module, require);
  return require('./lib/cluster');
}

module.exports = load();

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
