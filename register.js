// @ts-check
'use strict';

// Puts rcluster behind Node's built-in child_process and cluster, in place, for `--require`, `--import` and
// NODE_OPTIONS: whoever has required them already, or imports them later, gets ours.

const { syncBuiltinESMExports } = require('node:module');

const { isExpected } = require('./lib/platform');

if (isExpected) {
  const { installChildProcess, installCluster } = require('./lib/start');
  installChildProcess();
  installCluster();
  syncBuiltinESMExports();
}
