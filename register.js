'use strict';
// @ts-check

// Puts rcluster behind Node's own modules, for `--require`, `--import` and NODE_OPTIONS.

const { native } = require('./lib/platform');

if (native) require('./lib/register').register();
