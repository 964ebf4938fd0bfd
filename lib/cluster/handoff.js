'use strict';
// @ts-check

// The accept thread as the primary's JavaScript sees it: workers by number, and the connections for workers that
// never load rcluster, which go to them over the message channel.

const { handleFromFd } = require('../child_process/handles');
const { errnoException } = require('../errors');
const { engine, kinds, on } = require('../native');
const messages = require('./messages');

/**
 * @typedef {object} Handoff the native side of one worker
 * @property {number} id the engine's number for it
 * @property {number} fd the descriptor it is to inherit
 * @property {number} inode by which it will know that
 *
 * @typedef {object} Sharing how the connections of a listener are shared out, in the engine's numbers
 * @property {number} policy
 * @property {number} stickyBy
 * @property {number} stickyTimeout in milliseconds
 */

/** The native side of each worker that runs. @type {Map<any, Handoff>} */
const handoffs = new Map();
/** What workers that have ended told last of their load. @type {WeakMap<object, number[]>} */
const lastLoads = new WeakMap();
/** @type {Map<number, any>} */
const workersById = new Map();
/** What each listener is called in messages, and the kind of its connections. @type {Map<number, { key: string, kind: 'tcp' | 'pipe' }>} */
const listeners = new Map();

on(kinds.CLUSTER_CONNECTION, sendConnection);
on(kinds.CLUSTER_ACCEPT_FAILED, warnOfFailure);

/** Makes the native side of the worker `number`, which is about to be started. @param {number} number @returns {Handoff | undefined} */
function prepare(number) {
  const [id, fd, inode] = engine.clusterAddWorker(number);
  return id < 0 ? undefined : { id, fd, inode };
}

/**
 * Joins what `prepare` made with the worker that has been started.
 * @param {any} worker
 * @param {Handoff} handoff
 * @param {number} pid
 */
function attach(worker, handoff, pid) {
  handoffs.set(worker, handoff);
  workersById.set(handoff.id, worker);
  if (pid > 0) engine.clusterWatchWorker(handoff.id, pid);
}

/** Undoes `prepare` for a worker that was not started. @param {Handoff} handoff */
function abandon(handoff) {
  engine.clusterRemoveWorker(handoff.id, false);
}

/** A worker is leaving: others get the connections it has not taken. @param {any} worker */
function takeBack(worker) {
  const handoff = handoffs.get(worker);
  if (handoff !== undefined) engine.clusterTakeBack(handoff.id);
}

/** The engine's number for a worker that runs. @param {any} worker */
function numberOf(worker) {
  return handoffs.get(worker)?.id;
}

/** The numbers of a worker's load, now or before it ended; none where it cannot tell. @param {any} worker */
function loadNumbers(worker) {
  const handoff = handoffs.get(worker);
  return handoff === undefined ? (lastLoads.get(worker) ?? []) : engine.clusterLoad(handoff.id);
}

/**
 * @param {any} worker
 * @param {number} weight
 * @param {boolean} isPaused
 */
function tune(worker, weight, isPaused) {
  const handoff = handoffs.get(worker);
  if (handoff !== undefined) engine.clusterTune(handoff.id, weight, isPaused);
}

/** A worker's channel is closed: what it has not answered for goes to others. @param {any} worker */
function disconnected(worker) {
  takeBack(worker);
  messages.answerAll(worker.process, { accepted: false });
}

/**
 * A worker's process has ended.
 * @param {any} worker
 * @param {boolean} [crashed] nobody wished that it would
 */
function ended(worker, crashed = false) {
  const handoff = handoffs.get(worker);
  if (handoff === undefined) return;
  messages.answerAll(worker.process, { accepted: false });
  lastLoads.set(worker, engine.clusterLoad(handoff.id));
  engine.clusterRemoveWorker(handoff.id, crashed);
  handoffs.delete(worker);
  workersById.delete(handoff.id);
}

/**
 * A connection for a worker that gets its own over the channel.
 * @param {number} listener
 * @param {number} id the worker
 * @param {number} fd
 */
function sendConnection(listener, id, fd) {
  const { key, kind } = listeners.get(listener) ?? { key: '', kind: /** @type {const} */ ('tcp') };
  const handle = handleFromFd(kind, fd);
  const onReply = (/** @type {{ accepted: boolean }} */ { accepted }) => {
    if (accepted) engine.clusterFree(listener, id);
    else engine.clusterRefused(listener, id, handle.fd);
    handle.close();
  };
  const worker = workersById.get(id);
  if (!worker || !messages.send(worker.process, { act: 'newconn', key }, handle, onReply)) {
    onReply({ accepted: false });
  }
}

/** @param {number} listener @param {number} errno */
function warnOfFailure(listener, errno) {
  const { message, code } = errnoException(errno, 'accept');
  const key = listeners.get(listener)?.key;
  process.emitWarning(`${message}: connections to ${key} wait until it works again`, { code });
}

/**
 * Starts to accept.
 * @param {string} key
 * @param {import('../../binding.js').Listen} options
 * @param {Sharing} sharing
 */
function listen(key, options, { policy, stickyBy, stickyTimeout }) {
  const listened = engine.clusterListen(options, policy, stickyBy, stickyTimeout);
  if (listened.code >= 0)
    listeners.set(listened.code, { key, kind: listened.kind === 'pipe' ? 'pipe' : 'tcp' });
  return listened;
}

/** Closes a listener at once. @param {number} listener */
function unlisten(listener) {
  listeners.delete(listener);
  engine.clusterUnlisten(listener);
}

/**
 * @param {number} listener
 * @param {any} worker
 * @param {number | undefined} token the worker's number for its server, if it takes hand-offs
 */
function join(listener, worker, token) {
  const handoff = handoffs.get(worker);
  if (handoff !== undefined) engine.clusterJoin(listener, handoff.id, token ?? -1);
}

/** A worker's server listens, as is about to be told. @param {any} worker @param {number} token */
function announce(worker, token) {
  const handoff = handoffs.get(worker);
  if (handoff !== undefined) engine.clusterAnnounce(handoff.id, token);
}

/** @param {number} listener @param {any} worker */
function leave(listener, worker) {
  const handoff = handoffs.get(worker);
  if (handoff !== undefined) engine.clusterLeave(listener, handoff.id);
}

module.exports = {
  abandon,
  announce,
  attach,
  disconnected,
  ended,
  join,
  leave,
  listen,
  loadNumbers,
  numberOf,
  prepare,
  takeBack,
  tune,
  unlisten,
};
