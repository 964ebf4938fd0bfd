'use strict';
// @ts-check

// What a child with an 'ipc' entry has: `send`, `disconnect`, `channel`, 'message', 'disconnect', on Node's
// protocol over a `Wire`. The properties and their states are Node's, since users and Node's own cluster look at
// them:
// - connected, `channel` set: open;
// - not connected, `channel` set: disconnect() was called, messages wait behind a handle under way;
// - not connected, `channel` null: over, or only what was sent before has still to leave.

const { EventEmitter } = require('node:events');
const os = require('node:os');
const { deprecate } = require('node:util');

const { codedError, errnoException, nodeMajor, validateObject } = require('../errors');
const { conversionName, conversions, handleFromFd, handleKind } = require('./handles');
const { messages } = require('./messages');
const { PEER_PREFIX, Peer } = require('./peer');
const { Wire } = require('./wire');
const { arrayIncludes, arrayPush, freeze, stringStartsWith } = require('../untampered');

// As it was when rcluster was loaded: a program may replace it later.
const { defineProperty } = Object;

const { apply } = Reflect;

const messageTypes = ['string', 'object', 'number', 'boolean'];

const MAX_HANDLE_RETRANSMISSIONS = 3;

/** Bytes queued from which on `send` returns false. */
const HIGH_WATER_MARK = 128 * 1024;

const INTERNAL_PREFIX = 'NODE_';

const UV_EBADF = -os.constants.errno.EBADF;
const UV_EMSGSIZE = -os.constants.errno.EMSGSIZE;
const UV_ENOBUFS = -os.constants.errno.ENOBUFS;
const UV_EPROTO = -os.constants.errno.EPROTO;

/** Of a message sent without any. */
const noOptions = freeze({ swallowErrors: false });

const kIpc = Symbol('rcluster.ipc');
const kPending = Symbol('rcluster.pendingMessages');

/** `child.channel`. */
class Control extends EventEmitter {
  /** @type {InstanceType<typeof import('./wire').Wire>} */
  #wire;
  #refs = 0;
  #refExplicitlySet = false;
  /** What arrived before anybody listened. @type {any[][]} */
  [kPending] = [];

  /** @param {InstanceType<typeof import('./wire').Wire>} wire */
  constructor(wire) {
    super();
    this.#wire = wire;
  }

  refCounted() {
    if (++this.#refs === 1 && !this.#refExplicitlySet) this.#wire.setRef(true, false);
  }

  unrefCounted() {
    if (--this.#refs === 0 && !this.#refExplicitlySet) {
      this.#wire.setRef(false, false);
      if (nodeMajor < 24) this.emit('unref');
    }
  }

  ref() {
    this.#refExplicitlySet = true;
    this.#wire.setRef(true, true);
  }

  unref() {
    this.#refExplicitlySet = true;
    this.#wire.setRef(false, true);
  }

  get fd() {
    return this.#wire.fd;
  }
}

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

/** One channel: that to a child, or that which this process was born with. */
class Ipc {
  /**
   * @param {any} child or, for the channel it was born with, this process
   * @param {() => number} takeFd
   * @param {string} mode
   * @param {(child: any) => void} onClosed
   * @param {{ control: any, pending: symbol, close: () => void }} [born] what Node has made of a channel this process was born with
   */
  constructor(child, takeFd, mode, onClosed, born) {
    this.child = child;
    this.onClosed = onClosed;
    this.born = born;
    this.wire = new Wire(takeFd, mode, {
      onMessage: (message) => this.arrived(message),
      onInput: () => this.finishIfIdle(true),
      onWritten: () => this.onWritten(),
      onDrained: () => this.finishIfIdle(false),
      onEnd: (errno) => this.ended(errno),
      onHeld: born && ((isHeld) => (isHeld ? born.control.refCounted() : born.control.unrefCounted())),
    });
    this.control = born?.control ?? new Control(this.wire);
    this.pending = born?.pending ?? kPending;
    this.peer = new Peer(this);
    /** Connections given away and received, by direction and server. */
    this.sockets = { send: { __proto__: null }, got: { __proto__: null } };
    /** @type {HandleInFlight | null} */
    this.inFlight = null;
    /** Whether it is to be closed once what was sent before has left. */
    this.isClosing = false;
    this.isFinished = false;
    /** Whether a sender was told to wait. */
    this.needsDrain = false;
    this.isCounted = false;
  }

  /**
   * @param {any} message
   * @param {any} handle
   * @param {any} options
   * @param {((error: Error | null) => void) | undefined} callback
   * @returns {boolean}
   */
  send(message, handle, options, callback) {
    const { child } = this;
    const name = handle ? conversionName(handle) : undefined;
    if (handle && name === undefined) throw codedError('ERR_INVALID_HANDLE_TYPE');

    const { queueLimit } = this.wire;
    if (queueLimit !== undefined && !options.swallowErrors && this.wire.queued > queueLimit) {
      this.report(UV_ENOBUFS, options, callback);
      return false;
    }
    // Nothing overtakes a handle that the other side may yet ask for again.
    if (child._handleQueue && !(name === undefined && isReceipt(message))) {
      if (arrayPush(child._handleQueue, { callback, handle: handle || null, options, message }) === 1)
        return true;
      this.needsDrain = true;
      return false;
    }
    if (name === undefined) return this.transmit(message, options, callback);

    const conversion = conversions[name];
    const wrapped = { cmd: 'NODE_HANDLE', type: name, msg: message };
    const native = conversion.send(this, wrapped, handle, options);
    // Sent before, or not listening: its message goes alone.
    if (!native) return this.transmit(message, options, callback);

    const isMoved = conversion.moves === true && !options.keepOpen;
    return this.transmitHandle(
      { message: wrapped, handle: native, isMoved, retransmissions: 0 },
      options,
      callback,
    );
  }

  /** @param {any} message @param {any} options @param {any} callback */
  transmit(message, options, callback) {
    if (options.ack === true && typeof callback === 'function') {
      const errno = this.wire.write(message, -1);
      if (errno < 0) this.report(errno, options, callback);
      else this.peer.requests.askReceipt(callback);
    } else {
      const errno = this.wire.write(message, -1, callback);
      if (errno < 0) this.report(errno, options, callback);
    }
    return this.hasRoom();
  }

  /** Whether the sender may go on; where not, 'drain' says when. */
  hasRoom() {
    if (this.wire.queued < HIGH_WATER_MARK) return true;
    this.needsDrain = true;
    return false;
  }

  /** Something that was queued has left. */
  onWritten() {
    if (!this.needsDrain || this.child._handleQueue || this.wire.queued >= HIGH_WATER_MARK) return;
    this.needsDrain = false;
    process.nextTick(() => this.child.emit('drain'));
  }

  /** @param {HandleInFlight} sent @param {any} options @param {any} callback */
  transmitHandle(sent, options, callback) {
    const { child } = this;
    const { message, handle, isMoved } = sent;
    let errno;
    try {
      // A handle without a descriptor has never been bound, or is closed.
      errno = handle.fd >= 0 ? this.wire.write(message, handle.fd, callback) : UV_EBADF;
    } catch (error) {
      if (isMoved) handle.close();
      throw error;
    }
    if (errno < 0) {
      if (isMoved) handle.close();
      this.report(errno, options, callback);
    } else {
      this.inFlight = sent;
      child._handleQueue ??= [];
      child._pendingMessage = isMoved ? { callback, message, handle, options, retransmissions: 0 } : null;
    }
    return this.hasRoom();
  }

  /** @param {number} errno @param {any} options @param {any} callback */
  report(errno, options, callback) {
    if (options.swallowErrors) return;
    const error = this.writeError(errno);
    if (typeof callback === 'function') process.nextTick(callback, error);
    else process.nextTick(() => this.child.emit('error', error));
  }

  /** @param {number} errno */
  writeError(errno) {
    const { messageLimit, queueLimit } = this.wire;
    if (errno === UV_EMSGSIZE && messageLimit !== undefined)
      return codedError('ERR_RCLUSTER_MESSAGE_SIZE', messageLimit);
    if (errno === UV_ENOBUFS && queueLimit !== undefined)
      return codedError('ERR_RCLUSTER_QUEUE_SIZE', queueLimit);
    return errnoException(errno, 'write');
  }

  /** A message has been read. @param {any} message */
  arrived(message) {
    if (!this.child.channel && !this.isClosing) return;
    const internal = isInternal(message);
    let handle;
    if (internal) {
      if (stringStartsWith(message.cmd, PEER_PREFIX)) {
        this.peer.arrived(message);
        return;
      }
      if (message.cmd === 'NODE_HANDLE') {
        const received = this.wire.takeHandle();
        handle = received && handleFromFd(received.kind, received.fd);
      }
    }
    this.deliver(message, handle, internal);
  }

  /** Emits an event of its own for a message. @param {any} message @param {any} handle @param {boolean} internal */
  deliver(message, handle, internal) {
    process.nextTick(emitMessage, this, internal ? 'internalMessage' : 'message', message, handle);
  }

  /** @param {any} message @param {any} handle native, if it arrived */
  internalMessage(message, handle) {
    switch (message.cmd) {
      case 'NODE_HANDLE_ACK':
        this.acknowledged();
        break;
      case 'NODE_HANDLE_NACK':
        this.refused();
        break;
      case 'NODE_HANDLE':
        this.receiveHandle(message, handle);
        break;
    }
  }

  acknowledged() {
    if (!this.inFlight) return;
    this.releaseHandle();
    this.sendQueued();
  }

  refused() {
    const sent = this.inFlight;
    if (!sent) return;
    if (sent.retransmissions++ < MAX_HANDLE_RETRANSMISSIONS && sent.handle.fd >= 0) {
      const errno = this.wire.write(sent.message, sent.handle.fd);
      if (errno >= 0) return;
    }
    this.releaseHandle();
    process.emitWarning(
      'Handle did not reach the receiving process correctly',
      'SentHandleNotReceivedWarning',
    );
    this.sendQueued();
  }

  /** Lets go of the handle under way. */
  releaseHandle() {
    const sent = this.inFlight;
    this.inFlight = null;
    this.child._pendingMessage = null;
    if (sent?.isMoved) sent.handle.close();
  }

  sendQueued() {
    const { child } = this;
    const queue = child._handleQueue ?? [];
    child._handleQueue = null;
    for (const { message, handle, options, callback } of queue)
      child._send(message, handle, options, callback);
    if (!child.connected && child.channel && !child._handleQueue) child._disconnect();
    else this.onWritten();
  }

  /** @param {any} message NODE_HANDLE @param {any} handle */
  receiveHandle(message, handle) {
    const { child } = this;
    const isOpen = !this.isClosing && child.channel;
    if (!handle) {
      if (isOpen) child._send({ cmd: 'NODE_HANDLE_NACK' }, null, true);
      return;
    }
    if (isOpen) child._send({ cmd: 'NODE_HANDLE_ACK' }, null, true);

    const conversion = conversions[message.type];
    const emit = (/** @type {any} */ received) =>
      this.deliver(message.msg, received, isInternal(message.msg));
    if (conversion && arrayIncludes(conversion.kinds, handleKind(handle))) {
      conversion.receive(this, message, handle, emit);
    } else {
      handle.close();
      emit(undefined);
    }
  }

  /** Closes the channel, once what was sent before has left. */
  disconnect() {
    const { child } = this;
    child.channel = null;
    this.releaseHandle();
    this.isClosing = true;
    this.finishIfIdle(false);
  }

  /** @param {boolean} hasReceived whether a message has just been read to its end */
  finishIfIdle(hasReceived) {
    if (!this.isClosing || this.wire.queued > 0) return;
    // A message of which part has arrived is still received, but not those after it.
    if (this.wire.isPartial && !hasReceived) return;
    process.nextTick(() => this.finish());
  }

  finish() {
    if (this.isFinished) return;
    this.isFinished = true;
    this.closeWire();
    this.child.emit('disconnect');
  }

  closeWire() {
    this.wire.close();
    this.born?.close();
    this.peer.requests.close();
  }

  /** Counts towards the child's 'close', once: only what the other end has closed does, as in Node. */
  countClosed() {
    if (this.isCounted) return;
    this.isCounted = true;
    this.onClosed(this.child);
  }

  /** The other side has gone, or does what cannot be. @param {number} errno */
  ended(errno) {
    const { child } = this;
    if (this.isFinished) return;
    if (errno === UV_EPROTO || errno === UV_EMSGSIZE) {
      const why =
        errno === UV_EPROTO ? 'the other end has overwritten its ring' : 'a message is larger than the limit';
      process.emitWarning(`A message channel was closed: ${why}`, { code: 'RCLUSTER_CHANNEL' });
    }
    const queue = child._handleQueue ?? [];
    child._handleQueue = null;
    for (const { callback } of queue) {
      if (typeof callback === 'function') process.nextTick(callback, codedError('ERR_IPC_CHANNEL_CLOSED'));
    }
    child.connected = false;
    child.channel = null;
    this.releaseHandle();
    this.isClosing = true;
    this.closeWire();
    process.nextTick(() => this.finish());
    this.countClosed();
  }
}

/**
 * @param {Ipc} ipc
 * @param {string} event
 * @param {any} message
 * @param {any} handle
 */
function emitMessage(ipc, event, message, handle) {
  const { child } = ipc;
  if (event === 'internalMessage' || child.listenerCount('message') > 0) {
    child.emit(event, message, handle);
    return;
  }
  arrayPush(ipc.control[ipc.pending], [event, message, handle]);
}

/** Emits what arrived before anybody listened. @param {Ipc} ipc */
function flushPending({ child, control }) {
  if (!child.channel || child.listenerCount('message') === 0) return;
  const messages = control[kPending];
  control[kPending] = [];
  for (const args of messages) apply(child.emit, child, args);
}

/**
 * @this {any}
 * @param {any} message
 * @param {any} handle
 * @param {any} options
 * @param {any} callback
 */
function send(message, handle, options, callback) {
  if (typeof handle === 'function') {
    callback = handle;
    handle = undefined;
    options = undefined;
  } else if (typeof options === 'function') {
    callback = options;
    options = undefined;
  } else if (options !== undefined) {
    validateObject(options, 'options');
  }

  if (this.connected) {
    return this._send(
      message,
      handle,
      options === undefined ? noOptions : { swallowErrors: false, ...options },
      callback,
    );
  }

  const error = codedError('ERR_IPC_CHANNEL_CLOSED');
  if (typeof callback === 'function') process.nextTick(callback, error);
  else process.nextTick(() => this.emit('error', error));
  return false;
}

/**
 * Sends without asking whether disconnect() was called, for Node's own messages.
 * @this {any}
 * @param {any} message
 * @param {any} handle
 * @param {any} options a boolean stands for `swallowErrors`
 * @param {any} callback
 */
function sendAnyway(message, handle, options, callback) {
  if (message === undefined) throw codedError('ERR_MISSING_ARGS', 'message');
  if (!arrayIncludes(messageTypes, typeof message)) {
    throw codedError('ERR_INVALID_ARG_TYPE', 'message', ['string', 'object', 'number', 'boolean'], message);
  }
  const settings = typeof options === 'boolean' ? { swallowErrors: options } : (options ?? {});
  return this[kIpc].send(message, handle, settings, callback);
}

/** @this {any} */
function disconnect() {
  if (!this.connected) {
    this.emit('error', codedError('ERR_IPC_DISCONNECTED'));
    return;
  }
  this.connected = false;
  // Else once the handle under way has arrived, and what waits behind it is sent.
  if (!this._handleQueue) this._disconnect();
}

/** @this {any} */
function disconnectNow() {
  this[kIpc].disconnect();
}

const deprecatedChannel = (() => {
  const message = '_channel is deprecated. Use ChildProcess.channel instead.';
  return {
    __proto__: null,
    configurable: true,
    enumerable: false,
    get: deprecate(
      /** @this {any} */ function () {
        return this.channel;
      },
      message,
      'DEP0129',
    ),
    set: deprecate(
      /** @this {any} @param {any} value */ function (value) {
        this.channel = value;
      },
      message,
      'DEP0129',
    ),
  };
})();

/**
 * Gives a child its message channel.
 * @param {any} child
 * @param {() => number} takeFd gives this side's end of the socket, owned by the channel from then on
 * @param {string} serializationMode 'json' or 'advanced'
 * @param {(child: any) => void} onClosed called once, when the channel has closed
 */
function setupChannel(child, takeFd, serializationMode, onClosed) {
  const ipc = new Ipc(child, takeFd, serializationMode, onClosed);
  /** @type {any} */
  const hidden = { __proto__: null, value: ipc, configurable: true };
  Object.defineProperty(child, kIpc, hidden);
  child.channel = ipc.control;
  defineExtras(ipc);
  if (nodeMajor < 26) Object.defineProperty(child, '_channel', deprecatedChannel);
  child._handleQueue = null;
  child._pendingMessage = null;
  child.on('internalMessage', (/** @type {any} */ message, /** @type {any} */ handle) => {
    ipc.internalMessage(message, handle);
  });
  child.on('newListener', () => {
    if (ipc.control[kPending].length > 0) process.nextTick(flushPending, ipc);
  });
  child.send = send;
  child._send = sendAnyway;
  child.connected = true;
  child.disconnect = disconnect;
  child._disconnect = disconnectNow;
  return ipc.control;
}

/**
 * Takes over the channel this process was born with. Its `channel` object, `connected` and the flush of messages
 * that came before a listener stay Node's.
 * @param {number} fd owned by the channel from now on
 * @param {string} serializationMode
 * @param {{ control: any, pending: symbol, close: () => void, isSendNodes: boolean }} born
 */
function takeOverChannel(fd, serializationMode, born) {
  const target = /** @type {any} */ (process);
  const ipc = new Ipc(
    target,
    () => fd,
    serializationMode,
    () => {},
    born,
  );
  Object.defineProperty(target, kIpc, { value: ipc, configurable: true });
  defineExtras(ipc);
  target.prependListener('internalMessage', (/** @type {any} */ message, /** @type {any} */ handle) => {
    ipc.internalMessage(message, handle);
  });
  if (born.isSendNodes) target.send = send;
  target._send = sendAnyway;
  target._disconnect = disconnectNow;
  return ipc;
}

/**
 * Gives `target` a channel to a process that is neither parent nor child. It carries questions only, keeps nothing
 * alive while none is open, and stays on its socket: a ring for each two of many would be much memory.
 * @param {any} target
 * @param {number} fd owned by the channel from now on
 * @param {boolean} isFirst whether this side speaks first; one has to
 * @param {(message: any) => any} onRequest
 */
function joinChannel(target, fd, isFirst, onRequest) {
  const control = setupChannel(
    target,
    () => fd,
    'advanced',
    () => {},
  );
  const { peer } = target[kIpc];
  peer.requests.onRequest(onRequest);
  control.unrefCounted();
  if (isFirst) peer.greet(false);
}

/** What Node has not. @param {Ipc} ipc */
function defineExtras({ child, control, peer, wire }) {
  const { requests } = peer;
  /** @param {any} object @param {string} name @param {any} value */
  const define = (object, name, value) => {
    defineProperty(
      object,
      name,
      /** @type {any} */ ({ __proto__: null, value, configurable: true, writable: true }),
    );
  };
  define(child, 'request', (/** @type {any} */ message, /** @type {any} */ options) =>
    requests.request(message, options),
  );
  define(child, 'onRequest', (/** @type {any} */ handler) => requests.onRequest(handler));
  define(child, 'messages', (/** @type {any} */ options) => messages(child, wire, options));
  define(control, 'setLimits', (/** @type {any} */ limits) => wire.setLimits(limits));
  const transport = { __proto__: null, get: () => peer.transport, configurable: true };
  defineProperty(control, 'transport', /** @type {any} */ (transport));
}

module.exports = { joinChannel, setupChannel, takeOverChannel };
