'use strict';
// @ts-check

// What Node has by private names behind a socket, a server or a dgram socket, how such a handle is made of a descriptor,
// and how each kind travels with a message.

const dgram = require('node:dgram');
const net = require('node:net');

const { codedError } = require('../errors');
const { getSocketList } = require('./socket_list');
const { SafeMap, symbolOf } = require('../untampered');

/** `SOCKET` of Node's TCP and Pipe handles; a listening descriptor is opened the same way. */
const SOCKET = 0;

/** @type {Map<string, 'pipe' | 'tty' | 'tcp' | 'udp'>} */
const kindNames = new SafeMap([
  ['Pipe', 'pipe'],
  ['TTY', 'tty'],
  ['TCP', 'tcp'],
  ['UDP', 'udp'],
]);

/** Constructors of Node's handles, learnt from the first handle of each kind. @type {Record<string, any>} */
const constructors = {};

function nop() {}

/**
 * What kind of native handle a value is.
 * @param {any} value
 * @returns {'pipe' | 'tty' | 'tcp' | 'udp' | false}
 */
function handleKind(value) {
  const name = value?.constructor?.name;
  if (typeof name !== 'string' || typeof value.fd !== 'number') return false;
  return kindNames.get(name) ?? false;
}

/** @type {symbol | undefined} */
let dgramState;

/** The native handle of a dgram socket. @param {any} socket */
function dgramHandle(socket) {
  dgramState ??= symbolOf(socket, 'state symbol');
  return dgramState && socket[dgramState]?.handle;
}

function udpConstructor() {
  const socket = dgram.createSocket('udp4');
  const { constructor } = dgramHandle(socket);
  socket.close();
  return constructor;
}

/**
 * Makes a handle that owns a descriptor.
 * @param {'tcp' | 'pipe' | 'udp'} kind what the descriptor is
 * @param {number} fd
 */
function handleFromFd(kind, fd) {
  if (kind === 'udp') constructors.udp ??= udpConstructor();
  const Handle = constructors[kind];
  if (Handle === undefined) {
    const socket = /** @type {any} */ (new net.Socket(/** @type {any} */ ({ fd, manualStart: true })));
    const handle = socket._handle;
    socket._handle = null;
    constructors[kind] = handle.constructor;
    return handle;
  }
  const handle = new Handle(SOCKET);
  handle.open(fd);
  return handle;
}

/**
 * A handle for this side's end of a pipe to a child.
 * @param {() => number} take gives the descriptor; called last, as a thread may be terminated between any two calls
 */
function pipeFrom(take) {
  const Pipe = constructors.pipe;
  if (Pipe === undefined) return handleFromFd('pipe', take());
  const handle = new Pipe(SOCKET);
  handle.open(take());
  return handle;
}

/**
 * Stops reading what a child reads from now on.
 * @param {any} handle
 * @param {any} stream the handle is of
 */
function pauseHandle(handle, stream) {
  handle.reading = false;
  handle.readStop?.();
  stream.pause?.();
  stream.readableFlowing = false;
  if (stream._readableState) stream._readableState.reading = false;
}

/** @type {any} */
let httpCommon;

/** Gives back what an HTTP server has hung on a socket that leaves this process. @param {any} socket */
function detachHttp(socket) {
  if (!socket.parser) return;
  // @ts-expect-error: not among the modules that have types.
  httpCommon ??= require('_http_common');
  if (!(socket.parser instanceof httpCommon.HTTPParser)) return;
  httpCommon.freeParser(socket.parser, null, socket);
  if (socket._httpMessage) socket._httpMessage.detachSocket(socket);
}

/**
 * How a kind of handle travels.
 * @typedef {object} Conversion
 * @property {string[]} kinds of native handle it may be made of
 * @property {boolean} [moves] whether the sender gives it up once the receiver has it
 * @property {(owner: any, message: any, handle: any, options: any) => any} send finds the native handle, if any
 * @property {(owner: any, message: any, handle: any, emit: (handle: any) => void) => void} receive
 */

/** By the names on the wire. @type {Record<string, Conversion>} */
const conversions = {
  // @ts-expect-error: null prototype, as the names come from another process.
  __proto__: null,

  'net.Native': {
    kinds: ['tcp', 'pipe'],
    send: (owner, message, handle) => handle,
    receive: (owner, message, handle, emit) => emit(handle),
  },

  'net.Server': {
    kinds: ['tcp', 'pipe'],
    send: (owner, message, server) => server._handle,
    receive(owner, message, handle, emit) {
      const server = new net.Server();
      server.listen(handle, () => emit(server));
    },
  },

  'net.Socket': {
    kinds: ['tcp', 'pipe'],
    moves: true,
    send: detachSocket,
    receive(owner, message, handle, emit) {
      const socket = new net.Socket(/** @type {any} */ ({ handle, readable: true, writable: true }));
      if (message.key) getSocketList('got', owner, message.key).add({ socket });
      emit(socket);
    },
  },

  'net.BoundSocket': {
    kinds: ['tcp'],
    moves: true,
    send(owner, message, bound) {
      if (bound.isPipe) throw codedError('ERR_INVALID_HANDLE_TYPE');
      return bound[/** @type {symbol} */ (boundSocketSymbol('transfer'))]().data.handle;
    },
    receive(owner, message, handle, emit) {
      const bound = new /** @type {any} */ (net)._TransferredBoundSocket();
      bound[/** @type {symbol} */ (boundSocketSymbol('deserialize'))]({ handle });
      emit(bound);
    },
  },

  'dgram.Native': {
    kinds: ['udp'],
    send: (owner, message, handle) => handle,
    receive: (owner, message, handle, emit) => emit(handle),
  },

  'dgram.Socket': {
    kinds: ['udp'],
    send(owner, message, socket) {
      message.dgramType = socket.type;
      return dgramHandle(socket);
    },
    receive(owner, message, handle, emit) {
      const socket = dgram.createSocket(message.dgramType);
      socket.bind(handle, () => emit(socket));
    },
  },
};

/** @param {'transfer' | 'deserialize'} step */
function boundSocketSymbol(step) {
  const { BoundSocket } = /** @type {any} */ (net);
  return symbolOf(BoundSocket.prototype, `messaging_${step}_symbol`);
}

/** @param {any} owner @param {any} message @param {any} socket @param {any} options */
function detachSocket(owner, message, socket, options) {
  const handle = socket._handle;
  if (!handle) return undefined;
  const { server } = socket;
  if (server) {
    // From now on the server asks the receiver about this connection.
    message.key = server._connectionKey;
    const isFirst = !owner.sockets.send[message.key];
    const socketList = getSocketList('send', owner, message.key);
    if (isFirst) server._setupWorker(socketList);
    if (!options.keepOpen) server._connections--;
  }
  if (!options.keepOpen) {
    handle.onread = nop;
    socket._handle = null;
    socket.setTimeout(0);
    detachHttp(socket);
  }
  return handle;
}

/**
 * The name on the wire for what the user wants to send, or undefined for what cannot be.
 * @param {any} handle
 */
function conversionName(handle) {
  const { BoundSocket } = /** @type {any} */ (net);
  if (handle instanceof net.Socket) return 'net.Socket';
  if (handle instanceof net.Server) return 'net.Server';
  if (handle instanceof dgram.Socket) return 'dgram.Socket';
  if (BoundSocket && handle instanceof BoundSocket && boundSocketSymbol('transfer')) return 'net.BoundSocket';
  switch (handleKind(handle)) {
    case 'tcp':
    case 'pipe':
      return 'net.Native';
    case 'udp':
      return 'dgram.Native';
  }
  return undefined;
}

/** The descriptor behind a socket or a server. @param {any} socket @returns {number} -1 if it is closed */
function fdOf(socket) {
  return socket._handle?.fd ?? -1;
}

module.exports = {
  conversionName,
  conversions,
  fdOf,
  handleFromFd,
  handleKind,
  pauseHandle,
  pipeFrom,
};
