'use strict';
// @ts-check

// The channel this process was born with. Node has set it up before any module is loaded; where the other end is
// rcluster, it becomes ours: we read and write its socket, Node's handle of it lies idle, and `process.channel`
// stays the object it is. Towards a parent that is not ours everything stays Node's.
//
// Knows Node's private names of that handle.

const { isMainThread } = require('node:worker_threads');

const { codedError } = require('../errors');
const { engine } = require('../native');
const { takeOverChannel } = require('./channel');

/** On Node's handle of a channel that has been taken over, by this copy of the module or another. */
const kTaken = Symbol.for('rcluster.taken');

/** What ends the wait of those that ask before the channel has been taken over. */
const kDeferred = Symbol('rcluster.deferred');

/** How often it is tried again while a message is on its way, in milliseconds. */
const RETRY_INTERVAL = 5;

/** @param {object} object @param {string} description */
function symbolOf(object, description) {
  return Object.getOwnPropertySymbols(object).find((symbol) => symbol.description === description);
}

/** Takes the channel over, at once or as soon as no message is on its way; does nothing where that is not to be. */
function takeOver() {
  const target = /** @type {any} */ (process);
  if (!isMainThread) return;
  if (!target.channel || !target.connected) {
    if (target[kDeferred]) refuseExtras(target);
    target[kDeferred]?.();
    return;
  }
  if (!('request' in target)) refuseExtras(target);
  const key = symbolOf(target, 'kChannelHandle');
  const handle = key && target[key];
  const pending = symbolOf(target.channel, 'kPendingMessages');
  const listener = target
    .listeners('internalMessage')
    .find((/** @type {Function} */ candidate) => `${candidate}`.includes('NODE_HANDLE_ACK'));
  if (!handle || !pending || !listener || handle[kTaken] || !engine.channelPeerIsOurs(handle.fd)) return;
  if (!isIdle(target, handle)) {
    // Keeps the process alive only as long as its channel does: what waits may be an answer.
    const timer = setTimeout(takeOver, RETRY_INTERVAL);
    if (!handle.hasRef()) timer.unref();
    deferExtras(target);
    return;
  }

  const fd = engine.channelDuplicate(handle.fd);
  if (fd < 0) return;
  handle[kTaken] = true;
  handle.readStop();
  target.removeListener('internalMessage', listener);
  const { wire, peer } = takeOverChannel(fd, symbolOf(handle, 'kMessageBuffer') ? 'advanced' : 'json', {
    control: target.channel,
    pending,
    // Somebody may have put something of his own around it.
    isSendNodes: `${target.send}`.includes('swallowErrors'),
    close() {
      target[key] = null;
      handle.close();
    },
  });
  // `process.channel` goes on counting who needs the channel, and tells its handle.
  wire.setRef(handle.hasRef(), true);
  handle.ref = () => wire.setRef(true, true);
  handle.unref = () => wire.setRef(false, true);
  handle.hasRef = () => wire.isReferenced;
  handle.readStart = () => wire.pause(false);
  handle.readStop = () => wire.pause(true);
  peer.greet();
  target[kDeferred]?.();
}

/** What only an rcluster parent can do, until it is known to be one. @param {any} target */
function refuseExtras(target) {
  const refuse = () => {
    throw codedError('ERR_RCLUSTER_PEER');
  };
  const methods = { request: async () => refuse(), onRequest: refuse, messages: refuse };
  for (const [name, value] of Object.entries(methods)) {
    Object.defineProperty(target, name, { value, configurable: true, writable: true });
  }
}

/** Has what only an rcluster parent can do wait until the channel is taken over, which is tried again soon. @param {any} target */
function deferExtras(target) {
  if (target[kDeferred]) return;
  const taken = new Promise((resolve) =>
    Object.defineProperty(target, kDeferred, { value: resolve, configurable: true }),
  );
  /** @type {Record<string, (...args: any[]) => any>} */
  const methods = {
    request: (...args) => taken.then(() => target.request(...args)),
    onRequest: (handler) => void taken.then(() => target.onRequest(handler)),
    async *messages(...args) {
      await taken;
      yield* target.messages(...args);
    },
  };
  for (const [name, value] of Object.entries(methods)) {
    Object.defineProperty(target, name, { value, configurable: true, writable: true });
  }
}

/**
 * Whether Node has neither part of a message in its hands nor a handle whose receipt is missing.
 * @param {any} target
 * @param {any} handle
 */
function isIdle(target, handle) {
  return (
    !handle.buffering &&
    handle.pendingHandle === null &&
    handle.writeQueueSize === 0 &&
    target._handleQueue === null &&
    target._pendingMessage === null
  );
}

module.exports = { takeOver };
