'use strict';
// @ts-check

// The primary's half of Node's own protocol with its workers: internal messages with a number each, and replies
// that name the number.

const { isGone } = require('../errors');

let nextSequence = 0;

/** Who waits for replies, by process and number. @type {WeakMap<object, Map<number, (reply: any) => void>>} */
const awaited = new WeakMap();

/**
 * Sends an internal message to a worker's process.
 * @param {any} child
 * @param {object} message
 * @param {any} [handle]
 * @param {(reply: any) => void} [onReply]
 * @returns {boolean} false: nothing was sent, and no reply will come
 */
function send(child, message, handle, onReply) {
  if (!child.connected) return false;
  const seq = nextSequence++;
  if (onReply !== undefined) {
    let replies = awaited.get(child);
    if (replies === undefined) awaited.set(child, (replies = new Map()));
    replies.set(seq, onReply);
  }
  child.send({ cmd: 'NODE_CLUSTER', ...message, seq }, handle, undefined, (/** @type {any} */ error) => {
    // A worker that has just ended: its 'disconnect' tells of that, and the primary is not to end with it.
    if (error && !isGone(error)) child.emit('error', error);
  });
  return true;
}

/**
 * Has replies go to who awaits them, and requests to `onRequest`.
 * @param {any} child
 * @param {(message: any) => void} onRequest
 */
function listen(child, onRequest) {
  child.on('internalMessage', (/** @type {any} */ message) => {
    if (message.cmd !== 'NODE_CLUSTER') return;
    const replies = awaited.get(child);
    const onReply = message.ack === undefined ? undefined : replies?.get(message.ack);
    if (onReply === undefined) {
      onRequest(message);
    } else {
      replies?.delete(message.ack);
      onReply(message);
    }
  });
}

/**
 * Answers with `reply` in place of a process that will not answer any more.
 * @param {any} child
 * @param {object} reply
 */
function answerAll(child, reply) {
  const replies = awaited.get(child);
  if (replies === undefined) return;
  awaited.delete(child);
  for (const onReply of replies.values()) onReply(reply);
}

module.exports = { answerAll, listen, send };
