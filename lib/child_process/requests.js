'use strict';
// @ts-check

// Questions and answers over a channel whose two ends are both rcluster: `request`, `onRequest`, and word that a
// message has been dispatched. They are messages as all others are, in order with them.

const { codedError, isGone, validateAbortSignal, validateNumber, validateObject } = require('../errors');

const REQUEST = 'NODE_RCLUSTER_REQUEST';
const REPLY = 'NODE_RCLUSTER_REPLY';
const FAILURE = 'NODE_RCLUSTER_FAILURE';
const ASK_RECEIPT = 'NODE_RCLUSTER_ASK_RECEIPT';
const RECEIPT = 'NODE_RCLUSTER_RECEIPT';

/** What a timer takes. */
const LONGEST_TIMER = 2 ** 31 - 1;

/** How long the other end may take, from its start, to say that it is rcluster too, in milliseconds. */
const GREETING_TIMEOUT = 10_000;

/** How long a request waits for that in any case: its word may be here and not read yet. */
const LEAST_GREETING_TIMEOUT = 500;

/**
 * @typedef {object} Pending a question without an answer
 * @property {(value: any) => void} resolve
 * @property {(error: Error) => void} reject
 * @property {() => void} release
 */

/** An error as it goes over the channel. @param {any} error */
function packError(error) {
  try {
    if (!(error instanceof Error)) return { value: error };
    const { name, message, stack, code } = /** @type {any} */ (error);
    return { name, message, stack, code };
  } catch {
    return { name: 'Error', message: 'What was thrown cannot be looked at' };
  }
}

/** @param {any} packed */
function unpackError(packed) {
  if (!('message' in packed)) return packed.value;
  const { name, message, stack, code } = packed;
  const error = new Error(message);
  const properties = { name, stack, ...(code === undefined ? undefined : { code }) };
  for (const [key, value] of Object.entries(properties)) {
    Object.defineProperty(error, key, {
      value,
      configurable: true,
      writable: true,
      enumerable: key === 'code',
    });
  }
  return error;
}

class Requests {
  /** @param {any} ipc */
  constructor(ipc) {
    this.ipc = ipc;
    /** @type {Map<number, Pending>} */
    this.pending = new Map();
    /** Callbacks of messages whose receipt was asked for. @type {Map<number, (error: Error | null) => void>} */
    this.receipts = new Map();
    this.nextId = 0;
    this.openedAt = performance.now();
    /** Whether answers that are awaited keep the process alive. */
    this.isRef = false;
    /** @type {((message: any) => any) | null} */
    this.handler = null;
    /** Requests that came before there was a handler. @type {any[]} */
    this.early = [];
    /** Requests that wait for the other end to say what it is. @type {Array<() => void>} */
    this.waiting = [];
  }

  /**
   * @param {any} message
   * @param {{ timeout?: number, signal?: AbortSignal }} [options]
   * @returns {Promise<any>}
   */
  request(message, options = {}) {
    const { ipc } = this;
    return new Promise((resolve, reject) => {
      validateObject(options, 'options');
      const { timeout, signal } = options;
      if (timeout !== undefined) validateNumber(timeout, 'options.timeout', 0);
      if (signal !== undefined) validateAbortSignal(signal, 'options.signal');
      signal?.throwIfAborted();
      if (!ipc.child.connected) throw codedError('ERR_IPC_CHANNEL_CLOSED');
      const id = this.nextId++;
      const fail = (/** @type {Error} */ error) => {
        this.pending.get(id)?.release();
        reject(error);
      };
      const limit = ipc.peer.isKnown ? timeout : Math.min(timeout ?? Infinity, this.leftForGreeting());
      let timer = limit === undefined ? undefined : setTimeout(expired, Math.min(limit, LONGEST_TIMER), this);
      const startedAt = performance.now();
      /** @param {Requests} requests */
      function expired(requests) {
        if (!ipc.peer.isKnown) fail(codedError('ERR_RCLUSTER_PEER'));
        else if (timeout === undefined) timer = undefined;
        else {
          const left = timeout - (performance.now() - startedAt);
          if (left > 1) timer = setTimeout(expired, Math.min(left, LONGEST_TIMER), requests);
          else fail(codedError('ERR_RCLUSTER_REQUEST_TIMEOUT', timeout));
        }
      }
      const onAbort = () => fail(/** @type {AbortSignal} */ (signal).reason);
      signal?.addEventListener('abort', onAbort, { once: true });
      this.pending.set(id, {
        resolve,
        reject,
        release: () => {
          clearTimeout(timer);
          signal?.removeEventListener('abort', onAbort);
          this.pending.delete(id);
          this.updateRef();
        },
      });
      this.updateRef();
      const send = () => {
        if (!this.pending.has(id)) return;
        try {
          ipc.child._send({ cmd: REQUEST, id, message }, undefined, { swallowErrors: false }, onWritten);
        } catch (error) {
          fail(/** @type {Error} */ (error));
        }
      };
      const onWritten = (/** @type {Error | null} */ error) => {
        // Whether that shows when it is written or when the channel ends is a matter of time.
        if (error) fail(isGone(error) ? codedError('ERR_IPC_CHANNEL_CLOSED') : error);
      };
      if (ipc.peer.isKnown) {
        send();
      } else {
        this.waiting.push(send);
        if (ipc.born === undefined) ipc.peer.ask();
      }
    });
  }

  /** For how much longer the other end, which may be plain Node, may turn out to be rcluster, in milliseconds. */
  leftForGreeting() {
    return Math.max(GREETING_TIMEOUT - (performance.now() - this.openedAt), LEAST_GREETING_TIMEOUT);
  }

  /** An answer that is awaited keeps the process alive, as a listener does. */
  updateRef() {
    const isNeeded = this.pending.size > 0;
    if (isNeeded === this.isRef) return;
    this.isRef = isNeeded;
    const { control } = this.ipc;
    if (isNeeded) control.refCounted();
    else control.unrefCounted();
  }

  /** @param {((message: any) => any) | null} handler */
  onRequest(handler) {
    if (handler !== null && typeof handler !== 'function') {
      throw codedError('ERR_INVALID_ARG_TYPE', 'handler', ['Function'], handler);
    }
    if ((handler === null) !== (this.handler === null)) {
      const { control } = this.ipc;
      if (handler === null) control.unrefCounted();
      else control.refCounted();
    }
    this.handler = handler;
    if (handler === null) return;
    for (const message of this.early.splice(0)) process.nextTick(() => this.answer(message));
  }

  /** The other end has said that it is rcluster. */
  known() {
    for (const send of this.waiting.splice(0)) send();
  }

  /**
   * Sends a question behind a message: has it been dispatched?
   * @param {(error: Error | null) => void} callback
   */
  askReceipt(callback) {
    const id = this.nextId++;
    this.receipts.set(id, callback);
    this.ipc.child._send({ cmd: ASK_RECEIPT, id }, undefined, true);
  }

  /** @param {any} message */
  arrived(message) {
    switch (message.cmd) {
      case REQUEST:
        process.nextTick(() => this.answer(message));
        break;
      case REPLY:
        this.settle(message.id, ({ resolve }) => resolve(message.message));
        break;
      case FAILURE:
        this.settle(message.id, ({ reject }) => reject(unpackError(message.error)));
        break;
      case ASK_RECEIPT:
        process.nextTick(() => this.giveReceipt(message));
        break;
      case RECEIPT: {
        const callback = this.receipts.get(message.id);
        this.receipts.delete(message.id);
        if (callback) process.nextTick(callback, null);
        break;
      }
    }
  }

  /** @param {number} id @param {(pending: Pending) => void} act */
  settle(id, act) {
    const pending = this.pending.get(id);
    pending?.release();
    if (pending) act(pending);
  }

  /** @param {any} request */
  async answer(request) {
    const { handler } = this;
    if (handler === null) {
      this.early.push(request);
      return;
    }
    const { id } = request;
    let reply;
    try {
      reply = { cmd: REPLY, id, message: await handler(request.message) };
    } catch (error) {
      reply = { cmd: FAILURE, id, error: packError(error) };
    }
    const { child } = this.ipc;
    if (!child.connected) return;
    try {
      child._send(reply, undefined, true);
    } catch (error) {
      // What the handler returned cannot be sent.
      child._send({ cmd: FAILURE, id, error: packError(error) }, undefined, true);
    }
  }

  /** @param {any} message */
  giveReceipt({ id }) {
    if (this.ipc.child.connected) this.ipc.child._send({ cmd: RECEIPT, id }, undefined, true);
  }

  /** The channel is over. */
  close() {
    this.early.length = 0;
    this.waiting.length = 0;
    if (this.pending.size === 0 && this.receipts.size === 0) return;
    const { isKnown } = this.ipc.peer;
    const error = codedError(isKnown ? 'ERR_IPC_CHANNEL_CLOSED' : 'ERR_RCLUSTER_PEER');
    for (const { release, reject } of this.pending.values()) {
      release();
      reject(error);
    }
    for (const callback of this.receipts.values()) process.nextTick(callback, error);
    this.receipts.clear();
  }
}

module.exports = { Requests };
