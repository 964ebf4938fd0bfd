'use strict';
// @ts-check

// The channel this process was born with. Node has set it up before any module is loaded. Where the other end is
// rcluster, it becomes ours: we read and write its socket, Node's handle of it lies idle, and `process.channel` stays
// the object it is. Towards a parent that is not ours everything stays Node's.
//
// A worker's becomes ours once that pays. Most say no more than that they listen. For them Node's channel does, and the
// modules of ours would cost more than they save: a fifth of their start, two megabytes of their memory.
//
// Knows Node's private names of that handle.

const { AsyncResource } = require('node:async_hooks');

const { later } = require('../lazy');
const {
  apply,
  arrayFind,
  arrayPush,
  arraySplice,
  defineProperty,
  getOwnPropertyDescriptor,
  keys,
  methodDescriptor,
  stringIncludes,
  stringStartsWith,
  symbolOf,
} = require('../untampered');

/** On Node's handle of a channel that is watched, by this copy of the module or another. */
const kWatched = Symbol.for('rcluster.watched');

/** There too: ends a time before; as in ../cluster/newborn.js, which most programs do not load. */
const kFinish = Symbol.for('rcluster.newborn');

/** How often it is tried again while a message is on its way, in milliseconds. */
const RETRY_INTERVAL = 5;

/**
 * From so many messages of a worker on, either way together, taking its channel over pays. The first are those of
 * Node's cluster. Bytes count too.
 */
const ENOUGH_MESSAGES = 8;
const BYTES_OF_A_MESSAGE = 4096;
const ENOUGH_BYTES = ENOUGH_MESSAGES * BYTES_OF_A_MESSAGE;

/** As in peer.js, which is not loaded yet. */
const PEER_PREFIX = 'NODE_RCLUSTER_';

const native = later(() => (require('../platform').native ? require('../native') : undefined));
const channels = later(() => require('./channel'));
const errors = later(() => require('../errors'));

/** Node's channel, until it is ours. */
class Inherited {
  /** What the channel's events run in: not in that of whoever sends the message that is one too many. */
  resource = new AsyncResource('PIPEWRAP');
  /** The channel that has taken its place. @type {any} */
  ipc = undefined;
  /** Whether the parent is ours, once somebody wants to know. @type {boolean | undefined} */
  isOurs = undefined;
  messages = 0;
  /** Whether a sender was told to wait. */
  owesDrain = false;
  /** Runs while it is to be tried again. @type {NodeJS.Timeout | undefined} */
  timer = undefined;
  /** Who waits until it is ours, or is known never to be. @type {Array<() => void>} */
  waiting = [];
  /** What only a channel of ours can answer, as it came. @type {any[]} */
  early = [];
  stopWatching = () => {};

  /** @param {any} target this process @param {symbol} key of Node's handle in it */
  constructor(target, key) {
    this.target = target;
    this.key = key;
    this.handle = target[key];
    // How many it were nobody has counted.
    if (this.handle.bytesRead > 0) this.messages = 1;
  }

  /** @param {boolean} isAsked whether a question to us may have come and gone */
  watch(isAsked) {
    const { target, handle } = this;
    const listeners = target.listeners('internalMessage');
    const listener = arrayFind(listeners, (candidate) => stringIncludes(`${candidate}`, 'NODE_HANDLE_ACK'));
    if (listener === undefined) return;
    handle[kWatched] = true;
    this.#defineExtras();
    const { _send: send } = target;
    const { onread } = handle;

    // In the place of Node's listener, which is the first.
    const onInternal = (/** @type {any} */ message, /** @type {any} */ sent) => {
      if (!stringStartsWith(`${message.cmd}`, PEER_PREFIX)) return apply(listener, target, [message, sent]);
      arrayPush(this.early, message);
      this.want();
    };
    target.off('internalMessage', listener);
    target.prependListener('internalMessage', onInternal);

    const standIn = (/** @type {any[]} */ ...args) => this.#send(send, args);
    target._send = standIn;

    const onReadOrEnd = (/** @type {any[]} */ ...args) => {
      // Not before what has been read is dispatched.
      if (this.#isEnough()) setImmediate(() => this.want());
      return apply(onread, handle, args);
    };
    handle.onread = onReadOrEnd;

    this.stopWatching = () => {
      target.off('internalMessage', onInternal);
      if (this.ipc === undefined) target.prependListener('internalMessage', listener);
      if (target._send === standIn) target._send = send;
      if (handle.onread === onReadOrEnd) handle.onread = onread;
    };
    // In a worker Node's cluster listens, too.
    if (listeners.length === 1 || isAsked || this.early.length > 0) this.want();
  }

  /** Counts a message, or some that were read together. Whether there have been so many that taking over pays. */
  #isEnough() {
    if (this.ipc !== undefined) return false;
    const { bytesRead, bytesWritten } = this.handle;
    const bytes = ++this.messages * BYTES_OF_A_MESSAGE + bytesRead + bytesWritten;
    return bytes >= ENOUGH_BYTES;
  }

  /** In the place of Node's `_send`. @param {Function} send that @param {any[]} args */
  #send(send, args) {
    const { target } = this;
    const [message, handle, options, callback] = args;
    const isReceiptWanted = options?.ack === true && typeof callback === 'function';
    if (isReceiptWanted || this.#isEnough()) this.want();
    if (this.ipc !== undefined) return apply(target._send, target, args);

    const hasRoom = apply(send, target, [
      message,
      handle,
      options,
      isReceiptWanted && this.isOurs ? this.#askReceipt(callback) : callback,
    ]);
    if (!hasRoom) {
      this.owesDrain = true;
      this.want();
    }
    return hasRoom;
  }

  /** What asks for the receipt of a message once that is written. @param {(error: Error | null) => void} callback */
  #askReceipt(callback) {
    return (/** @type {Error | null} */ error) => {
      if (error) return callback(error);
      arrayPush(this.waiting, () => {
        if (this.ipc === undefined) callback(errors().codedError('ERR_IPC_CHANNEL_CLOSED'));
        else this.ipc.peer.requests.askReceipt(callback);
      });
    };
  }

  /**
   * Takes the channel over, at once or as soon as no message is on its way.
   * @returns {boolean | undefined} whether it is ours; undefined: not yet
   */
  want() {
    if (this.ipc !== undefined) return true;
    const { target, handle } = this;
    const isOpen = target.connected && target.channel && target[this.key] === handle;
    const outcome = isOpen && this.isOurs !== false ? this.resource.runInAsyncScope(this.#take, this) : false;
    if (outcome === undefined) {
      this.#tryLater();
      return undefined;
    }
    clearTimeout(this.timer);
    this.timer = undefined;
    for (const run of arraySplice(this.waiting, 0)) run();
    return outcome;
  }

  #tryLater() {
    if (this.timer !== undefined) return;
    this.timer = setTimeout(() => {
      this.timer = undefined;
      this.want();
    }, RETRY_INTERVAL);
    // Keeps the process alive only as long as its channel does: what waits may be an answer.
    if (!this.handle.hasRef()) this.timer.unref();
  }

  /** @returns {boolean | undefined} as `want` */
  #take() {
    const { target, handle, key } = this;
    /** @type {typeof import('./channel').takeOverChannel} */
    let takeOverChannel;
    try {
      if (!this.#askIsOurs()) return false;
      ({ takeOverChannel } = channels());
    } catch (error) {
      // A sender is not to fail because we cannot do it faster.
      if (isLackOfDescriptors(error)) return undefined;
      throw error;
    }
    const pending = symbolOf(target.channel, 'kPendingMessages');
    if (!pending) return this.#isNotOurs();
    if (!isIdle(target, handle)) return undefined;
    const fd = /** @type {any} */ (native()).engine.channelDuplicate(handle.fd);
    if (fd < 0) return undefined;

    handle.readStop();
    this.ipc = takeOverChannel(fd, symbolOf(handle, 'kMessageBuffer') ? 'advanced' : 'json', {
      control: target.channel,
      pending,
      // Node's own, of connections that have come or gone already.
      sockets: handle.sockets,
      // Somebody may have put something of his own around it.
      isSendNodes: stringIncludes(`${target.send}`, 'swallowErrors'),
      close() {
        target[key] = null;
        handle.close();
      },
    });
    this.stopWatching();
    this.#lendHandle();
    this.ipc.peer.greet();
    for (const message of arraySplice(this.early, 0)) this.ipc.peer.arrived(message);
    if (this.owesDrain) process.nextTick(() => target.emit('drain'));
    return true;
  }

  #askIsOurs() {
    if (this.isOurs !== undefined) return this.isOurs;
    const engine = native()?.engine;
    if (engine === undefined || !engine.channelPeerIsOurs(this.handle.fd)) return this.#isNotOurs();
    return (this.isOurs = true);
  }

  /** It stays Node's. */
  #isNotOurs() {
    this.isOurs = false;
    this.stopWatching();
    return false;
  }

  /** `process.channel` goes on counting who needs the channel, and tells its handle. */
  #lendHandle() {
    const { handle } = this;
    const { wire } = this.ipc;
    wire.setRef(handle.hasRef(), true);
    handle.ref = () => wire.setRef(true, true);
    handle.unref = () => wire.setRef(false, true);
    handle.hasRef = () => wire.isReferenced;
    handle.readStart = () => wire.pause(false);
    handle.readStop = () => wire.pause(true);
  }

  /** Why something is refused that only a channel of ours can do. */
  #refusal() {
    return errors().codedError(this.isOurs === false ? 'ERR_RCLUSTER_PEER' : 'ERR_IPC_CHANNEL_CLOSED');
  }

  /** What Node has not, and the channel will have once it is ours. */
  #defineExtras() {
    const { target } = this;
    const known = () => new Promise((resolve) => arrayPush(this.waiting, () => resolve(undefined)));
    /** @type {Record<string, (...args: any[]) => any>} */
    const methods = {
      request: async (...args) => {
        if (this.want() === undefined) await known();
        if (this.ipc === undefined) throw this.#refusal();
        return target.request(...args);
      },
      onRequest: (handler) => {
        const isOurs = this.want();
        if (isOurs) target.onRequest(handler);
        else if (isOurs === undefined) arrayPush(this.waiting, () => this.ipc && target.onRequest(handler));
        // Else nobody will ask any more.
        else if (this.isOurs === false) throw this.#refusal();
      },
      messages: (options) => {
        const isOurs = this.want();
        if (this.isOurs === false) throw this.#refusal();
        if (isOurs) return target.messages(options);
        return this.#laterMessages(isOurs === undefined ? known() : undefined, options);
      },
    };
    for (const name of keys(methods)) defineProperty(target, name, methodDescriptor(methods[name]));
    defineProperty(
      target.channel,
      'setLimits',
      methodDescriptor((/** @type {any} */ limits) => {
        const isOurs = this.want();
        if (isOurs) this.ipc.control.setLimits(limits);
        else if (isOurs === undefined) arrayPush(this.waiting, () => this.ipc?.control.setLimits(limits));
        else throw this.#refusal();
      }),
    );
    /** @type {any} */
    const transport = {
      __proto__: null,
      // Who wants to know may wait for the ring.
      get: () => {
        this.want();
        if (this.ipc !== undefined) return this.ipc.peer.transport;
        return this.isOurs ? 'wire' : undefined;
      },
      configurable: true,
    };
    defineProperty(target.channel, 'transport', transport);
  }

  /** @param {Promise<void> | undefined} known @param {any} options */
  async *#laterMessages(known, options) {
    await known;
    if (this.ipc !== undefined) yield* this.target.messages(options);
  }
}

/** @param {any} error */
function isLackOfDescriptors({ code }) {
  return code === 'EMFILE' || code === 'ENFILE';
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

/**
 * Takes the channel of this process over, at once or once that pays, if it has one.
 * @param {any[]} [early] what has come that only a channel of ours can answer, by who has waited for it from the start
 */
function watch(early) {
  const target = /** @type {any} */ (process);
  // In a worker thread it is a getter that throws, or is not there.
  const channel = getOwnPropertyDescriptor(target, 'channel')?.value;
  const key = channel && target.connected && symbolOf(target, 'kChannelHandle');
  if (!key) return;
  const handle = target[key];
  handle[kFinish]?.();
  if (handle[kWatched]) return;
  const inherited = new Inherited(target, key);
  if (early !== undefined) inherited.early = early;
  inherited.watch(early === undefined && handle.bytesRead > 0);
}

module.exports = { watch };
