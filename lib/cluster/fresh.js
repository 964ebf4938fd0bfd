'use strict';
// @ts-check

// Connections of an HTTP server over which nothing has come yet. Since Node 26 a server that closes takes them for idle
// and destroys them, though their request may be on its way, or wait in the socket: a worker that is disconnected would
// fail it. While a worker disconnects they are spared for a moment.
//
// Knows Node's private names of an HTTP server's connections.

const { symbolOf } = require('../untampered');

/** How long the first bytes may take, in milliseconds, once the worker disconnects. */
const GRACE = 1000;

/** What a response under way looks like to Node. */
const UNDER_WAY = { finished: false };

/** @param {any} socket */
const isFresh = (socket) => socket.bytesRead === 0 && !socket._httpMessage && !socket.destroyed;

/** Of those that Node takes for idle. @param {any} server @returns {any[]} */
function freshOf(server) {
  const kConnections = symbolOf(server, 'http.server.connections');
  const idle = server[kConnections]?.idle() ?? [];
  return idle.map((/** @type {any} */ parser) => parser.socket).filter(isFresh);
}

/**
 * Closes idle connections, but for the fresh ones; those that stay so are closed later.
 * @param {any} server
 * @param {() => void} closeIdle Node's
 */
function closeOthers(server, closeIdle) {
  const fresh = freshOf(server);
  for (const socket of fresh) socket._httpMessage = UNDER_WAY;
  try {
    closeIdle.call(server);
  } finally {
    for (const socket of fresh) socket._httpMessage = undefined;
  }
  if (fresh.length === 0) return;
  setTimeout(() => {
    for (const socket of fresh.filter(isFresh)) socket.destroy();
  }, GRACE).unref();
}

module.exports = { closeOthers };
