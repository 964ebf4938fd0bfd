// @ts-check
'use strict';

// In a worker: Node's own `cluster` object, whose servers also take connections from the hand-off socket. Under a
// primary that knows nothing of that, everything stays Node's: it ignores the extra field of `queryServer`.
// One of the two files that touch Node's private names.

const { handleFromFd } = require('../child_process/handles');
const { nodeMajor } = require('../errors');
const { engine, kinds, on } = require('../native');

/** @type {any} */
const cluster = require('node:cluster');

/** How often a server that was full is looked at for room, in milliseconds. */
const ROOM_INTERVAL = 5;

/**
 * @typedef {object} Entry a server that takes hand-offs
 * @property {any} server
 * @property {any} handle what Node has in the place of a listening handle
 * @property {'tcp' | 'pipe'} kind of its connections
 * @property {number} open connections counted in `openCount`
 * @property {NodeJS.Timeout} [roomTimer] runs while the server is full
 */

/** By token. @type {Map<number, Entry>} */
const entries = new Map();
let nextToken = 0;
/** Connections of all these servers, as the primary is told. */
let openCount = 0;

/** Takes over the hand-off socket, if this worker's primary has made one. */
function install() {
  const inherited = process.env.RCLUSTER_HANDOFF;
  // Its own children are not to find it.
  delete process.env.RCLUSTER_HANDOFF;
  if (inherited === undefined) return;
  const [fd, inode] = inherited.split(':').map(Number);
  if (engine.handoffOpen(fd, inode) !== 0) return;
  endWithPrimary();

  on(kinds.HANDOFF_CONNECTION, adopt);
  const getServer = cluster._getServer;
  cluster._getServer = function (
    /** @type {any} */ server,
    /** @type {any} */ options,
    /** @type {any} */ callback,
  ) {
    if (options.addressType === 'udp4' || options.addressType === 'udp6') {
      return getServer.call(this, server, options, callback);
    }
    const token = nextToken++;
    return getServer.call(
      this,
      server,
      { ...options, handoff: token },
      (/** @type {any} */ err, /** @type {any} */ handle) => {
        // A handle of its own accepts by itself; only Node's stand-in waits to be given connections.
        const isStandIn = !err && handle && Object.getPrototypeOf(handle) === Object.prototype;
        if (isStandIn) register(token, server, handle);
        callback(err, handle);
        // Not before Node has made the stand-in the server's.
        if (isStandIn && entries.has(token)) engine.handoffReady(token);
      },
    );
  };
}

/** Node ends a worker that has lost its primary, unless its event loop is blocked. That one is killed. */
function endWithPrimary() {
  engine.endWithParent();
  cluster.worker.once('disconnect', () => {
    if (cluster.worker.exitedAfterDisconnect) engine.outliveParent();
  });
}

/** @param {number} token @param {any} server @param {any} handle */
function register(token, server, handle) {
  /** @type {Entry} */
  const entry = { server, handle, kind: handle.getsockname ? 'tcp' : 'pipe', open: 0 };
  entries.set(token, entry);
  countClosing(entry);
  const { close } = handle;
  handle.close = function (/** @type {any[]} */ ...args) {
    entries.delete(token);
    clearInterval(entry.roomTimer);
    return close.apply(this, args);
  };
}

/** Tells the primary how many connections are open. @param {Entry} entry */
function count(entry) {
  const { _connections: open } = entry.server;
  openCount += open - entry.open;
  entry.open = open;
  engine.handoffOpenCount(openCount);
}

/** Node calls this for each connection that has closed, once it is counted. @param {Entry} entry */
function countClosing(entry) {
  const { server } = entry;
  const { _emitCloseIfDrained: emitCloseIfDrained } = server;
  server._emitCloseIfDrained = function (/** @type {any[]} */ ...args) {
    count(entry);
    return emitCloseIfDrained.apply(this, args);
  };
}

/** Whether a server takes no more, by the rule of the running line. @param {any} server */
function isFull(server) {
  const { maxConnections } = server;
  if (nodeMajor < 22) return !!maxConnections && server._connections >= maxConnections;
  return maxConnections != null && server._connections >= maxConnections && !server.dropMaxConnection;
}

/** @param {number} token @param {number} fd @param {number} listener */
function adopt(token, fd, listener) {
  const entry = entries.get(token);
  if (entry === undefined) {
    engine.handoffRefuse(token, fd, listener);
  } else if (isFull(entry.server)) {
    engine.handoffRefuse(token, fd, listener);
    waitForRoom(token, entry);
  } else {
    entry.handle.onconnection(0, handleFromFd(entry.kind, fd));
    count(entry);
  }
}

/** @param {number} token @param {Entry} entry */
function waitForRoom(token, entry) {
  if (entry.roomTimer !== undefined) return;
  entry.roomTimer = setInterval(() => {
    if (isFull(entry.server)) return;
    clearInterval(entry.roomTimer);
    entry.roomTimer = undefined;
    engine.handoffReady(token);
  }, ROOM_INTERVAL);
  entry.roomTimer.unref();
}

module.exports = { install };
