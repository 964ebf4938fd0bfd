'use strict';
// @ts-check

// Puts rcluster behind Node's own modules, for `--require`, `--import` and NODE_OPTIONS.

require('./lib/register').register();
