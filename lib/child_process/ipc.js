'use strict';
// @ts-check

// One end of a message channel: what is sent and what arrives, by Node's rules, how full it is, and how it ends.

const os = require('node:os');

const { codedError, errnoException } = require('../errors');
const { Control, kPending } = require('./control');
const { HandleExchange, isInternal, isReceipt } = require('./handle_exchange');
const { conversionName, conversions, handleFromFd } = require('./handles');
const { PEER_PREFIX, Peer } = require('./peer');
const { Wire } = require('./wire');
const { arrayPush, stringStartsWith } = require('../untampered');

/** Bytes queued from which on `send` returns false. */
const HIGH_WATER_MARK = 128 * 1024;

const UV_EMSGSIZE = -os.constants.errno.EMSGSIZE;
const UV_ENOBUFS = -os.constants.errno.ENOBUFS;
const UV_EPROTO = -os.constants.errno.EPROTO;

/** One channel: that to a child, or that which this process was born with. */
class Ipc {
  /**
   * @param {any} child or, for the channel it was born with, this process
   * @param {() => number} takeFd
   * @param {string} mode
   * @param {(child: any) => void} onClosed
   * @param {{ control: any, pending: symbol, sockets: any, close: () => void }} [born] what Node has made of a channel this process was born with
   */
  constructor(child, takeFd, mode, onClosed, born) {
    this.child = child;
    this.onClosed = onClosed;
    this.born = born;
    this.wire = new Wire(takeFd, mode, {
      onTurn: () => this.handles.turned(),
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
    this.sockets = born?.sockets ?? { send: { __proto__: null }, got: { __proto__: null } };
    this.handles = new HandleExchange(this);
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
    return this.handles.transmit(
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
    if (errno === UV_EMSGSIZE && messageLimit !== Infinity)
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

  /** What has been emitted waits for a listener after all, before what came later. @param {any[][]} emitted */
  putBack(emitted) {
    const { control, pending } = this;
    if (emitted.length > 0) control[pending] = [...emitted, ...control[pending]];
  }

  /** Closes the channel, once what was sent before has left. */
  disconnect() {
    const { child } = this;
    const close = () => {
      child.channel = null;
    };
    // A listener that disconnects may be called by Node for what came before it; Node then looks at the channel again.
    if (this.born !== undefined && this.control[this.pending].length > 0) process.nextTick(close);
    else close();
    this.handles.release();
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
    this.handles.release();
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

module.exports = { Ipc };
