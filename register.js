// @ts-check
'use strict';

// Puts rcluster behind Node's built-in child_process and cluster, in place, for `--require`, `--import` and
// NODE_OPTIONS: whoever has required them already, or imports them later, gets ours.

require = require('./lib/loader').within(module, require);
const { isExpected } = require('./lib/platform');

// What node:module gives, without the time it takes to load that.
const Module = /** @type {typeof import('node:module')} */ (/** @type {unknown} */ (module.constructor));

if (isExpected) {
  const { installChildProcess, installCluster } = require('./lib/start');
  installChildProcess();
  installCluster();
  Module.syncBuiltinESMExports();
}
