'use strict';
// @ts-check

// In a worker: Node's own `cluster` object, whose servers also take connections from the hand-off socket. Under a
// primary that knows nothing of that, everything stays Node's: it ignores the extra field of `queryServer`.
// One of the files that touch Node's private names.

const { binding, engine, kinds, on } = require('../native');
const { later } = require('../lazy');
const { nodeMajor } = require('../untampered');
const calls = require('./calls');
const newborn = require('./newborn');

// Loaded when they are needed: a worker that only listens is ready sooner, and smaller.
const errors = later(() => require('../errors'));
const handles = later(() => require('../child_process/handles'));
const fresh = later(() => require('./fresh'));
const peers = later(() => require('./peers'));

/** @type {any} */
const cluster = require('node:cluster');

const { memoryUsage } = process;

/** How often a server that was full is looked at for room, in milliseconds. */
const ROOM_INTERVAL = 5;
/** How long a worker without descriptors leaves connections to others, in milliseconds. */
const RESOURCE_PAUSE = 20;

/**
 * @typedef {object} Counted a server whose open connections are counted
 * @property {any} server
 * @property {number} open connections counted in `openCount`
 *
 * @typedef {object} Entry a server that takes hand-offs
 * @property {any} server
 * @property {Counted} counted
 * @property {any} handle what Node has in the place of a listening handle
 * @property {'tcp' | 'pipe'} kind of its connections
 * @property {NodeJS.Timeout} [roomTimer] runs while the server is full
 * @property {boolean} [isFailing] accepting has failed, and not worked since
 * @property {number} token
 * @property {number} [listener] the primary's number for where its connections come from
 */

/** By token. @type {Map<number, Entry>} */
const entries = new Map();
/** A server may listen again. @type {WeakMap<object, Counted>} */
const counted = new WeakMap();
/** What a server takes hand-offs by, or took them before it was closed. @type {WeakMap<object, Entry>} */
const entriesByServer = new WeakMap();
/** Servers that `spareFresh` has seen. */
const sparing = new WeakSet();
/** @type {((server: any) => void) | undefined} */
let tellServer;
let nextToken = 0;
/** Connections of all these servers, as the primary is told. */
let openCount = 0;

/** Takes over the hand-off socket, if this worker's primary has made one. */
function install() {
  on(kinds.HANDOFF_PEER, (id, fd, isAsker) => peers().onPeer(id, fd, isAsker));
  on(kinds.HANDOFF_LISTED, (question, id) => peers().onListed(question, id));
  const inherited = newborn.handoff();
  if (inherited === undefined || engine.handoffOpen(inherited.fd, inherited.inode) !== 0) return;
  ({ nextToken } = inherited);
  newborn.guard(binding);

  on(kinds.HANDOFF_CONNECTION, adopt);
  on(kinds.HANDOFF_FAILED, waitForResources);
  on(kinds.HANDOFF_HEAP, measureHeap);
  measureHeap();
  const getServer = cluster._getServer;
  cluster._getServer = function (
    /** @type {any} */ server,
    /** @type {any} */ options,
    /** @type {any} */ callback,
  ) {
    tellServer?.(server);
    if (newborn.isUdp(options)) return getServer.call(this, server, options, callback);
    const token = nextToken++;
    return getServer.call(
      this,
      server,
      { ...options, handoff: token },
      (/** @type {any} */ err, /** @type {any} */ handle) => {
        const isGiven = !err && isStandIn(handle);
        if (isGiven) register(token, server, handle);
        if (!err) spareFresh(server);
        callback(err, handle);
        // Not before Node has made the stand-in the server's.
        if (isGiven && entries.has(token)) engine.handoffReady(token);
        if (!err && handle && !isGiven) countAccepted(server, handle);
      },
    );
  };
}

/** Has a server of HTTP, when this worker disconnects, leave connections alone whose request may be on its way. @param {any} server */
function spareFresh(server) {
  const { closeIdleConnections } = server;
  if (typeof closeIdleConnections !== 'function' || sparing.has(server)) return;
  sparing.add(server);
  replace(server, 'closeIdleConnections', () => {
    if (cluster.worker.exitedAfterDisconnect) fresh().closeOthers(server, closeIdleConnections);
    else closeIdleConnections.call(server);
  });
}

/** Puts a method in the place of one of a server's class; it does not show where a server is printed. @param {any} server @param {string} name @param {Function} value */
function replace(server, name, value) {
  Object.defineProperty(server, name, { value, writable: true, configurable: true });
}

/**
 * Goes on with a server of which the primary was asked before this file was loaded, and knows that it listens.
 * @param {number} token
 * @param {any} server
 * @param {any} handle
 */
function takeOver(token, server, handle) {
  // Closed by who heard that it listens.
  if (server._handle === null) return engine.handoffLeave(token);
  spareFresh(server);
  if (isStandIn(handle)) {
    register(token, server, handle);
    engine.handoffReady(token);
  } else if (handle) {
    countAccepted(server, handle);
  }
}

/** A handle of its own accepts by itself; only Node's stand-in waits to be given connections. @param {any} handle */
function isStandIn(handle) {
  return !!handle && Object.getPrototypeOf(handle) === Object.prototype;
}

/** @param {number} token @param {any} server @param {any} handle */
function register(token, server, handle) {
  /** @type {Entry} */
  const entry = {
    server,
    handle,
    kind: handle.getsockname ? 'tcp' : 'pipe',
    counted: countClosing(server),
    token,
  };
  entries.set(token, entry);
  entriesByServer.set(server, entry);
  const { close } = handle;
  handle.close = function (/** @type {any[]} */ ...args) {
    entries.delete(token);
    clearInterval(entry.roomTimer);
    engine.handoffLeave(token);
    return close.apply(this, args);
  };
}

/** Tells the primary how much of the heap is used. */
function measureHeap() {
  engine.handoffHeap(memoryUsage().heapUsed);
}

/** Counts the connections of a server that accepts by itself. @param {any} server @param {any} handle */
function countAccepted(server, handle) {
  const { onconnection } = handle;
  if (typeof onconnection !== 'function') return;
  const entry = countClosing(server);
  handle.onconnection = function (/** @type {any[]} */ ...args) {
    const { _connections: before } = server;
    onconnection.apply(this, args);
    // Unless it was dropped: the server is full.
    if (server._connections > before) calls.accepted();
    count(entry);
  };
}

/** Tells the primary how many connections are open. @param {Counted} of */
function count(of) {
  const { _connections: open } = of.server;
  openCount += open - of.open;
  of.open = open;
  calls.openCount(openCount);
}

/** Counts a server's connections also when they close. @param {any} server @returns {Counted} */
function countClosing(server) {
  const known = counted.get(server);
  if (known !== undefined) return known;
  const entry = { server, open: 0 };
  counted.set(server, entry);
  // Node calls this for each connection that has closed, once it is counted.
  const { _emitCloseIfDrained: emitCloseIfDrained } = server;
  replace(
    server,
    '_emitCloseIfDrained',
    /** @this {any} @param {any[]} args */ function (...args) {
      count(entry);
      return emitCloseIfDrained.apply(this, args);
    },
  );
  return entry;
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
    entry.isFailing = false;
    entry.listener = listener;
    entry.handle.onconnection(0, handles().handleFromFd(entry.kind, fd));
    count(entry.counted);
  }
}

/**
 * This process lacks descriptors or memory to accept: others may do that.
 * @param {number} token
 * @param {number} errno
 */
function waitForResources(token, errno) {
  const entry = entries.get(token);
  if (entry === undefined) return;
  if (!entry.isFailing) {
    const { message, code } = errors().errnoException(errno, 'accept');
    process.emitWarning(`${message}: this worker takes no connections until it works again`, { code });
  }
  entry.isFailing = true;
  setTimeout(() => entries.has(token) && engine.handoffReady(token), RESOURCE_PAUSE).unref();
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

/** Has a function told of each server that listens from now on. @param {(server: any) => void} run */
function onServer(run) {
  tellServer = run;
}

/** Whether a connection can be given to another worker: nothing of it may be in the hands of TLS. @param {any} socket */
function canMove({ server, encrypted, _handle: handle }) {
  return !encrypted && handle?.fd >= 0 && entriesByServer.get(server)?.listener !== undefined;
}

/**
 * Gives a connection, of which nothing has been read that is not answered, to another worker. Its client does not
 * notice. Whether it could.
 * @param {any} socket
 */
function move(socket) {
  if (!canMove(socket)) return false;
  const { token, listener } = /** @type {Entry} */ (entriesByServer.get(socket.server));
  const fd = engine.clusterDuplicate(socket._handle.fd);
  if (fd < 0) return false;
  // Ends nothing but our use of it: the other descriptor keeps the connection.
  socket.destroy();
  engine.handoffRefuse(token, fd, /** @type {number} */ (listener));
  return true;
}

module.exports = { canMove, install, move, onServer, takeOver };
