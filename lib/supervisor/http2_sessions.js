// @ts-check
'use strict';

// Sessions of HTTP/2, which end by themselves once told to.

/** The last stream that there can be: none is refused yet. */
const EVERY_STREAM = 2 ** 31 - 1;
const NO_ERROR = 0;

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
 * Tells all sessions, and those to come, to end.
 * @param {number} grace how long a client may take to hear of it, in milliseconds
 * @returns {() => void} those to come are told no more
 */
function endAll(grace) {
  onSession = (session) => end(session, grace);
  for (const session of sessions) end(session, grace);
  return () => (onSession = undefined);
}

/**
 * A GOAWAY that refused what it crosses on its way would fail those requests. So there are two, as RFC 9113 (6.8) has it:
 * the first one refuses nothing; the second one comes when the client has answered a ping, so has read the first, and
 * names the last stream that is answered.
 * @param {any} session
 * @param {number} grace
 */
function end(session, grace) {
  if (session.closed || session.destroyed) return;
  session.goaway(NO_ERROR, EVERY_STREAM);
  const close = () => {
    clearTimeout(timer);
    session.close();
  };
  const timer = setTimeout(close, grace);
  session.once('close', () => clearTimeout(timer));
  // A ping that is not sent, as too many are on their way, is not answered.
  session.ping(close);
}

module.exports = { endAll, learn, sessions };
