'use strict';
// @ts-check

// Node's protocol of handles on one channel: one is under way at a time, acknowledged by the other side, which may
// ask for it again; what is sent meanwhile waits in `child._handleQueue`, which Node's cluster looks at.

const { AsyncResource } = require('node:async_hooks');
const os = require('node:os');

const { conversions, handleKind } = require('./handles');
const { SafeSet, apply, arrayForEach, arrayIncludes, arrayPush, stringStartsWith } = require('../untampered');

// As it was when rcluster was loaded: a program may replace it later.

const MAX_HANDLE_RETRANSMISSIONS = 3;

const UV_EBADF = -os.constants.errno.EBADF;
const UV_EPIPE = -os.constants.errno.EPIPE;
const UV_ECONNRESET = -os.constants.errno.ECONNRESET;

const INTERNAL_PREFIX = 'NODE_';

/** @param {any} message */
function isInternal(message) {
  return (
    message !== null &&
    typeof message === 'object' &&
    typeof message.cmd === 'string' &&
    message.cmd.length > INTERNAL_PREFIX.length &&
    stringStartsWith(message.cmd, INTERNAL_PREFIX)
  );
}

/** @param {any} message */
function isReceipt(message) {
  return message !== null && (message.cmd === 'NODE_HANDLE_ACK' || message.cmd === 'NODE_HANDLE_NACK');
}

/**
 * A handle that was sent and not acknowledged.
 * @typedef {object} HandleInFlight
 * @property {any} message the whole NODE_HANDLE message
 * @property {any} handle native
 * @property {boolean} isMoved whether it is closed once acknowledged
 * @property {number} retransmissions
 */

/** The handles of one channel. */
class HandleExchange {
  /** @param {any} ipc */
  constructor(ipc) {
    this.ipc = ipc;
    /** @type {HandleInFlight | null} */
    this.inFlight = null;
    /** Of messages with handles that were sent in this turn of the loop: each calls back. @type {Set<() => void>} */
    this.sentNow = new SafeSet();
  }

  /**
   * The callback of a message with a handle, which is written at once, but called back when the loop turns, as Node does,
   * before what arrives then.
   * @param {any} callback
   */
  afterTurn(callback) {
    if (typeof callback !== 'function') return callback;
    const bound = AsyncResource.bind(callback, 'WRITEWRAP');
    /** @type {any[] | undefined} */
    let outcome;
    const turn = () => {
      if (this.sentNow.delete(turn) && outcome !== undefined) apply(bound, undefined, outcome);
    };
    this.sentNow.add(turn);
    // Each has one of its own: another that throws is no reason to lose it.
    setImmediate(turn);
    return (/** @type {any[]} */ ...args) => {
      if (this.sentNow.has(turn)) outcome = args;
      else apply(bound, undefined, args);
    };
  }

  /** The loop has turned, and something arrives. */
  turned() {
    if (this.sentNow.size === 0) return;
    /** @type {Array<() => void>} */
    const due = [];
    this.sentNow.forEach((turn) => arrayPush(due, turn));
    // Not those that these send.
    arrayForEach(due, (turn) => turn());
  }

  /** @param {HandleInFlight} sent @param {any} options @param {any} callback */
  transmit(sent, options, callback) {
    const { child } = this.ipc;
    const { message, handle, isMoved } = sent;
    let errno;
    try {
      // A handle without a descriptor has never been bound, or is closed.
      errno = handle.fd >= 0 ? this.ipc.wire.write(message, handle.fd, this.afterTurn(callback)) : UV_EBADF;
      // The other side has gone, and is not known to: Node has written, and finds out later, without an event.
      if (errno === UV_EPIPE || errno === UV_ECONNRESET) {
        if (typeof callback === 'function') this.ipc.report(errno, options, callback);
        errno = 0;
      }
    } catch (error) {
      if (isMoved) handle.close();
      throw error;
    }
    if (errno < 0) {
      if (isMoved) handle.close();
      this.ipc.report(errno, options, callback);
    } else {
      this.inFlight = sent;
      child._handleQueue ??= [];
      child._pendingMessage = isMoved ? { callback, message, handle, options, retransmissions: 0 } : null;
    }
    return this.ipc.hasRoom();
  }

  /** @param {any} message @param {any} handle native, if it arrived */
  arrived(message, handle) {
    switch (message.cmd) {
      case 'NODE_HANDLE_ACK':
        this.acknowledged();
        break;
      case 'NODE_HANDLE_NACK':
        this.refused();
        break;
      case 'NODE_HANDLE':
        this.receive(message, handle);
        break;
    }
  }

  acknowledged() {
    if (!this.inFlight) return;
    this.release();
    this.sendQueued();
  }

  refused() {
    const sent = this.inFlight;
    if (!sent) return;
    if (sent.retransmissions++ < MAX_HANDLE_RETRANSMISSIONS && sent.handle.fd >= 0) {
      const errno = this.ipc.wire.write(sent.message, sent.handle.fd);
      if (errno >= 0) return;
    }
    this.release();
    process.emitWarning(
      'Handle did not reach the receiving process correctly',
      'SentHandleNotReceivedWarning',
    );
    this.sendQueued();
  }

  /** Lets go of the handle under way. */
  release() {
    const sent = this.inFlight;
    this.inFlight = null;
    this.ipc.child._pendingMessage = null;
    if (sent?.isMoved) sent.handle.close();
  }

  sendQueued() {
    const { child } = this.ipc;
    const queue = child._handleQueue ?? [];
    child._handleQueue = null;
    for (const { message, handle, options, callback } of queue)
      child._send(message, handle, options, callback);
    if (!child.connected && child.channel && !child._handleQueue) child._disconnect();
    else this.ipc.onWritten();
  }

  /** @param {any} message NODE_HANDLE @param {any} handle */
  receive(message, handle) {
    const { child } = this.ipc;
    const isOpen = !this.ipc.isClosing && child.channel;
    if (!handle) {
      if (isOpen) child._send({ cmd: 'NODE_HANDLE_NACK' }, null, true);
      return;
    }
    if (isOpen) child._send({ cmd: 'NODE_HANDLE_ACK' }, null, true);

    const conversion = conversions[message.type];
    const emit = (/** @type {any} */ received) =>
      this.ipc.deliver(message.msg, received, isInternal(message.msg));
    if (conversion && arrayIncludes(conversion.kinds, handleKind(handle))) {
      conversion.receive(this.ipc, message, handle, emit);
    } else {
      handle.close();
      emit(undefined);
    }
  }
}

module.exports = { HandleExchange, isInternal, isReceipt };
