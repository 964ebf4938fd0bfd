// @ts-check
'use strict';

// Node's own `cluster` object, on our engine in either role.

const policies = require('./policies');
const { availableParallelism } = require('./processors');
const { listenFds } = require('./systemd');

/** @type {any} */
const cluster = require('node:cluster');

Object.assign(cluster, policies, { availableParallelism, listenFds });
if (cluster.isPrimary) require('./primary').install();
else require('./worker').install();

module.exports = cluster;
