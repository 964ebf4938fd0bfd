'use strict';
// @ts-check

// Puts rcluster behind Node's built-in child_process and cluster, in place, for `--require`, `--import` and
// NODE_OPTIONS: whoever has required them already, or imports them later, gets ours.

// What node:module gives, without the time it takes to load that.
const Module = /** @type {typeof import('node:module')} */ (/** @type {unknown} */ (module.constructor));

function register() {
  if (process.env.RCLUSTER_HANDOFF !== undefined && require('./lib/cluster/newborn').begin()) return;
  require = require('./lib/loader').within(module, require);
  const { isExpected } = require('./lib/platform');
  if (!isExpected) return;
  const { whenLoaded } = require('./lib/builtins');
  const { later } = require('./lib/lazy');
  whenLoaded({
    child_process: later(() => {
      require('./lib/child_process/install').installChildProcess();
      Module.syncBuiltinESMExports();
    }),
    cluster: later(() => {
      require('./lib/cluster/install').installCluster();
      Module.syncBuiltinESMExports();
    }),
  });
}

register();
