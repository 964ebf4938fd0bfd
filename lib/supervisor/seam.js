'use strict';
// @ts-check

// What of Node's servers and sockets only the cluster's side of the seam can reach: which servers listen, and giving a
// connection to another worker. Nothing of it in a process that is no worker.

const { native } = require('../platform');

/** @type {any} */
const cluster = require('node:cluster');

const worker = native && cluster.isWorker ? loadWorker() : undefined;

/** All of it: the servers that listen first are of interest. */
function loadWorker() {
  require('../cluster/newborn').finish();
  return require('../cluster/worker');
}

/** Has a function told of each server that listens from now on. @param {(server: any) => void} run */
function onServer(run) {
  worker?.onServer(run);
}

/** Whether a connection can be given to another worker. @param {any} socket */
function canMove(socket) {
  return worker !== undefined && worker.canMove(socket);
}

/** Gives a connection to another worker; whether it could. @param {any} socket */
function move(socket) {
  return worker !== undefined && worker.move(socket);
}

module.exports = { canMove, move, onServer };
