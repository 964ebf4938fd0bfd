'use strict';
// @ts-check

// Sessions of HTTP/2, which end by themselves once told to.

/** Of this process. @type {Set<any>} */
const sessions = new Set();
/** While this process drains. @type {((session: any) => void) | undefined} */
let onSession;

/**
 * Learns of the sessions of a server, if it has any.
 * @param {any} server
 * @param {() => void} onStream
 */
function learn(server, onStream) {
  if (!String(server.constructor?.name).startsWith('Http2')) return;
  server.on('session', (/** @type {any} */ session) => {
    sessions.add(session);
    session.once('close', () => sessions.delete(session));
    session.on('stream', onStream);
    onSession?.(session);
  });
}

/**
 * Tells all sessions, and those to come, to end: a GOAWAY names the last stream that is answered. Clients know that those
 * behind it, which cross it on their way, were not looked at, and may try them elsewhere.
 *
 * One GOAWAY, not the two of RFC 9113 (6.8): nghttp2 lets go unseen what comes after any, whatever stream that named, and
 * without a stream under way it reads no more, not even the answer to a ping.
 * @returns {() => void} those to come are told no more
 */
function endAll() {
  onSession = (session) => session.close();
  for (const session of sessions) session.close();
  return () => (onSession = undefined);
}

module.exports = { endAll, learn, sessions };
