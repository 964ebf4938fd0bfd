'use strict';
// @ts-check

// What a child with an 'ipc' entry has: `send`, `disconnect`, `channel`, 'message', 'disconnect', on Node's
// protocol over a `Wire`. The properties and their states are Node's, since users and Node's own cluster look at
// them:
// - connected, `channel` set: open;
// - not connected, `channel` set: disconnect() was called, messages wait behind a handle under way;
// - not connected, `channel` null: over, or only what was sent before has still to leave.

const { deprecate } = require('node:util');

const { codedError, nodeMajor, validateObject } = require('../errors');
const { kPending } = require('./control');
const { Ipc } = require('./ipc');
const { messages } = require('./messages');
const { PEER_PREFIX } = require('./peer');
const {
  apply,
  arrayIncludes,
  bareDescriptor,
  defineProperty,
  freeze,
  stringStartsWith,
} = require('../untampered');

// As it was when rcluster was loaded: a program may replace it later.

const messageTypes = ['string', 'object', 'number', 'boolean'];

/** Of a message sent without any. */
const noOptions = freeze({ swallowErrors: false });

const kIpc = Symbol('rcluster.ipc');

/** Emits what arrived before anybody listened. @param {InstanceType<typeof Ipc>} ipc */
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

// Node's have no names, which shows where a child is printed.
for (const method of [send, sendAnyway, disconnect, disconnectNow]) {
  defineProperty(method, 'name', bareDescriptor({ value: '', configurable: true }));
}

/**
 * Gives a child its message channel.
 * @param {any} child
 * @param {() => number} takeFd gives this side's end of the socket, owned by the channel from then on
 * @param {string} serializationMode 'json' or 'advanced'
 * @param {(child: any) => void} onClosed called once, when the channel has closed
 */
function setupChannel(child, takeFd, serializationMode, onClosed) {
  const ipc = new Ipc(child, takeFd, serializationMode, onClosed);
  defineProperty(child, kIpc, bareDescriptor({ value: ipc, configurable: true }));
  child.channel = ipc.control;
  defineExtras(ipc);
  if (nodeMajor < 26) defineProperty(child, '_channel', deprecatedChannel);
  child._handleQueue = null;
  child._pendingMessage = null;
  child.on('internalMessage', (/** @type {any} */ message, /** @type {any} */ handle) => {
    ipc.handles.arrived(message, handle);
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
 * @param {{ control: any, pending: symbol, sockets: any, close: () => void, isSendNodes: boolean }} born
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
  defineProperty(target, kIpc, bareDescriptor({ value: ipc, configurable: true }));
  defineExtras(ipc);
  target.prependListener('internalMessage', (/** @type {any} */ message, /** @type {any} */ handle) => {
    // Node had read it, and not yet dispatched it, when the channel was taken over.
    if (stringStartsWith(`${message.cmd}`, PEER_PREFIX)) ipc.peer.arrived(message);
    ipc.handles.arrived(message, handle);
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

/** What Node has not. @param {InstanceType<typeof Ipc>} ipc */
function defineExtras(ipc) {
  const { born, child, control, peer, wire } = ipc;
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
  define(child, 'messages', (/** @type {any} */ options) => messages(ipc, options));
  define(control, 'setLimits', (/** @type {any} */ limits) => wire.setLimits(limits));
  const transport = {
    __proto__: null,
    get() {
      // Who wants to know may wait for the ring.
      if (born === undefined && child.connected) peer.ask();
      return peer.transport;
    },
    configurable: true,
  };
  defineProperty(control, 'transport', /** @type {any} */ (transport));
}

module.exports = { joinChannel, setupChannel, takeOverChannel };
