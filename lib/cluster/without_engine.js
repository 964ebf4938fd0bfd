// @ts-check
'use strict';

// What rcluster adds to Node's own `cluster` where the engine does not run: what needs no engine, and errors.

const { unsupported } = require('../platform');
const policies = require('./policies');
const { availableParallelism } = require('./processors');
const { listenFds } = require('./systemd');

/** @type {any} */
const cluster = require('node:cluster');

/** @param {string} name */
const refuse = (name) => () => {
  throw unsupported(`cluster.${name}()`);
};

// Node refuses the policies itself.
Object.assign(cluster, policies, {
  availableParallelism,
  listenFds,
  broadcast: refuse('broadcast'),
  loads: refuse('loads'),
  onRequest: refuse('onRequest'),
});

module.exports = cluster;
