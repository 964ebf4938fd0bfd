'use strict';
// @ts-check

// Questions between the primary and its workers: those of the message channel, by worker and for the whole cluster.

const { codedError } = require('../errors');

/** @type {any} */
const cluster = require('node:cluster');

/** Answers for the whole cluster, set by `cluster.onRequest`. @type {((message: any, from: any) => any) | null} */
let clusterHandler = null;

/** What of `Worker.prototype` is ours alone, in either role; install.js has the same names. */
const workerMethods = {
  /** @this {any} @param {any} message @param {any} options */
  async request(message, options) {
    const { process: other } = this;
    // Forked by Node's own engine, before we were loaded.
    if (typeof other?.request !== 'function') throw codedError('ERR_RCLUSTER_PEER');
    return other.request(message, options);
  },

  /** @this {any} @param {any} handler */
  onRequest(handler) {
    const { process: other } = this;
    if (typeof other?.onRequest !== 'function') throw codedError('ERR_RCLUSTER_PEER');
    other.onRequest(handler);
  },
};

/** @param {any} handler */
function validateHandler(handler) {
  if (handler !== null && typeof handler !== 'function') {
    throw codedError('ERR_INVALID_ARG_TYPE', 'handler', ['Function'], handler);
  }
}

/** Has the cluster's handler answer a worker. @param {any} worker */
function answer(worker) {
  const handler = clusterHandler;
  worker.process.onRequest?.(handler && ((/** @type {any} */ message) => handler(message, worker)));
}

/** A worker has been forked. @param {any} worker */
function forked(worker) {
  if (clusterHandler !== null) answer(worker);
}

/**
 * In the primary: answers the requests of all workers, also of those that are yet to be forked.
 * @param {((message: any, worker: any) => any) | null} handler
 */
function onRequest(handler) {
  validateHandler(handler);
  clusterHandler = handler;
  for (const worker of Object.values(cluster.workers)) answer(worker);
}

/**
 * In a worker: answers the requests of the primary, which is 0, and of other workers.
 * @param {((message: any, from: number) => any) | null} handler
 */
function onRequestInWorker(handler) {
  validateHandler(handler);
  clusterHandler = handler;
  const target = /** @type {any} */ (process);
  target.onRequest(handler && ((/** @type {any} */ message) => handler(message, 0)));
}

/** The answer to another worker. @param {any} message @param {number} from */
function answerWorker(message, from) {
  if (clusterHandler === null) throw codedError('ERR_RCLUSTER_NO_HANDLER', cluster.worker.id);
  return clusterHandler(message, from);
}

module.exports = { answerWorker, forked, onRequest, onRequestInWorker, workerMethods };
