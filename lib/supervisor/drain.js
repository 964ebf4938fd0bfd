'use strict';
// @ts-check

// Ends the connections of this process without failing a request: those that are at work finish it, those that are
// between two requests go to another worker, or close when nothing has come over them for a while.

const channels = require('node:diagnostics_channel');
const dgram = require('node:dgram');
const net = require('node:net');

const http2Sessions = require('./http2_sessions');
const seam = require('./seam');

/** How often connections are looked at, in milliseconds; beyond that whenever a response is finished. */
const INTERVAL = 25;

/** Every server that has been seen. @type {Set<any>} */
const servers = new Set();
/** Responses that are not finished, as far as is known. @type {Set<any>} */
const responses = new Set();
/** Connections of servers of TLS that have not shaken hands: no server knows them. @type {Set<any>} */
const handshakes = new Set();
const counts = { requests: 0 };
let isWatching = false;

/** Learns of servers, sessions and requests from now on. */
function watch() {
  if (isWatching) return;
  isWatching = true;
  seam.onServer(learn);
  channels.subscribe('net.server.socket', (message) => {
    const { socket } = /** @type {any} */ (message);
    const { server } = socket;
    if (server === undefined) return;
    if (!servers.has(server)) learn(server);
    if (!isSecure(server)) return;
    handshakes.add(socket);
    socket.once('close', () => handshakes.delete(socket));
  });
  channels.subscribe('http.server.request.start', (message) => {
    const { response, server } = /** @type {any} */ (message);
    counts.requests++;
    responses.add(response);
    // One that was fed with connections by hand.
    if (server !== undefined && !servers.has(server)) learn(server);
    onRequest?.(response);
  });
  channels.subscribe('http.server.response.finish', (message) => {
    responses.delete(/** @type {any} */ (message).response);
    onFinish?.();
  });
}

/** While this process drains. @type {((response: any) => void) | undefined} */
let onRequest;
/** @type {(() => void) | undefined} */
let onFinish;

/** @param {any} server */
function learn(server) {
  servers.add(server);
  server.once('close', () => servers.delete(server));
  http2Sessions.learn(server, () => counts.requests++);
  if (isSecure(server)) {
    server.on('secureConnection', (/** @type {any} */ socket) => handshakes.delete(socket._parent));
  }
}

/** Without loading node:tls for it. @param {any} server */
function isSecure(server) {
  return typeof server.setSecureContext === 'function';
}

/** Requests that are being answered; forgets those that were broken off. */
function activeRequests() {
  for (const response of responses) {
    if (response.writableFinished || response.destroyed || response.closed) responses.delete(response);
  }
  return responses.size;
}

/**
 * The connections of an HTTP server, by what Node itself would close. A server of HTTP/2 has one of the methods or none.
 * @param {any} server
 * @param {'closeIdleConnections' | 'closeAllConnections'} method
 * @returns {Set<any>}
 */
function connectionsOf(server, method) {
  const found = new Set();
  if (typeof server[method] !== 'function') return found;
  const prototype = /** @type {any} */ (net.Socket.prototype);
  const descriptor = Object.getOwnPropertyDescriptor(prototype, 'destroy');
  // Nothing else runs meanwhile: the call is synchronous.
  Object.defineProperty(prototype, 'destroy', {
    configurable: true,
    writable: true,
    value() {
      found.add(this);
      return this;
    },
  });
  try {
    server[method]();
  } finally {
    if (descriptor === undefined) delete prototype.destroy;
    else Object.defineProperty(prototype, 'destroy', descriptor);
  }
  return found;
}

/** Between two requests, and nothing of either on its way. @param {any} socket */
function isQuiet(socket) {
  return !socket.destroyed && socket.writableLength === 0 && socket.readableLength === 0;
}

class Draining {
  /** @param {{ move: boolean, idleGrace: number }} how */
  constructor({ move, idleGrace }) {
    this.move = move;
    this.idleGrace = idleGrace;
    /** Since when connections have been seen idle, and how much had been read by then. @type {Map<any, { since: number, read: number }>} */
    this.idle = new Map();
    this.isPlanned = false;
  }

  begin() {
    onRequest = (response) => this.announce(response);
    onFinish = () => this.plan();
    for (const response of responses) this.announce(response);
    for (const server of servers) stopListening(server);
    this.endSessions = http2Sessions.endAll();
    this.timer = setInterval(() => this.sweep(), INTERVAL);
    this.sweep();
  }

  end() {
    clearInterval(this.timer);
    this.endSessions?.();
    onRequest = undefined;
    onFinish = undefined;
  }

  /** Tells the client that this is the last response on a connection which cannot be handed over. @param {any} response */
  announce(response) {
    // The response has its socket only once those before it are done.
    const { socket } = response.req;
    if (response.headersSent || !socket || (this.move && seam.canMove(socket))) return;
    response.setHeader('Connection', 'close');
  }

  /** Looks at the connections once what runs now is done. */
  plan() {
    if (this.isPlanned) return;
    this.isPlanned = true;
    setImmediate(() => {
      this.isPlanned = false;
      this.sweep();
    });
  }

  sweep() {
    for (const server of servers) {
      const idle = connectionsOf(server, 'closeIdleConnections');
      // Those that have not sent anything yet count as busy for Node.
      for (const socket of connectionsOf(server, 'closeAllConnections')) {
        if (socket.bytesRead === 0) idle.add(socket);
      }
      for (const socket of idle) if (isQuiet(socket)) this.release(socket);
    }
    for (const socket of handshakes) this.closeIdle(socket);
    for (const socket of this.idle.keys()) if (socket.destroyed) this.idle.delete(socket);
  }

  /** @param {any} socket */
  release(socket) {
    if (this.move && seam.move(socket)) return;
    this.closeIdle(socket);
  }

  /** Closes it when nothing has come for a while. @param {any} socket */
  closeIdle(socket) {
    const now = performance.now();
    const seen = this.idle.get(socket);
    if (seen === undefined || seen.read !== socket.bytesRead) {
      this.idle.set(socket, { since: now, read: socket.bytesRead });
    } else if (now - seen.since >= this.idleGrace) {
      this.idle.delete(socket);
      socket.destroySoon();
    }
  }
}

/** Takes no more connections; those that are open stay. @param {any} server */
function stopListening(server) {
  try {
    if (server instanceof dgram.Socket) server.close();
    // Not by a close of its own: that of an HTTP server closes what is idle at once, also under a request on its way.
    else if (server.listening) net.Server.prototype.close.call(server);
  } catch {
    // Closed already.
  }
}

/** @param {any} server @returns {Promise<number>} */
function openConnections(server) {
  if (!(server instanceof net.Server)) return Promise.resolve(0);
  return new Promise((resolve) => server.getConnections((_, count) => resolve(count ?? 0)));
}

/**
 * Ends all connections, or as many as there is time for.
 * @param {{ move: boolean, idleGrace: number, timeout: number, hooks: Promise<unknown> }} how
 * `move`: others can take connections over; `hooks`: what else has to be done first
 */
async function drainConnections({ move, idleGrace, timeout, hooks }) {
  watch();
  const draining = new Draining({ move, idleGrace });
  draining.begin();
  const all = [...servers];
  const deadline = performance.now() + timeout;
  let areHooksDone = false;
  void hooks.then(() => (areHooksDone = true));
  try {
    for (;;) {
      const open = await Promise.all(all.map(openConnections));
      const isDone = areHooksDone && open.every((count) => count === 0) && http2Sessions.sessions.size === 0;
      if (isDone || performance.now() >= deadline) return;
      await new Promise((resolve) => setTimeout(resolve, INTERVAL));
    }
  } finally {
    draining.end();
  }
}

module.exports = { activeRequests, counts, drainConnections, servers, watch };
