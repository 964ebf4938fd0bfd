'use strict';
// @ts-check

// Loaded in a worker before its program. Programs that the worker starts itself inherit the argument that loads this,
// but not the variable, and so do the worker's threads: nothing happens there.

require = require('../loader').within(module, require);
const { isMainThread } = require('node:worker_threads');

if (isMainThread && process.env.RCLUSTER_SUPERVISED !== undefined) require('./runtime').supervised();
