// @ts-check
'use strict';

// Node's own `cluster` object, on our engine in either role.

/** @type {any} */
const cluster = require('node:cluster');

if (cluster.isPrimary) require('./primary').install();
else require('./worker').install();

module.exports = cluster;
