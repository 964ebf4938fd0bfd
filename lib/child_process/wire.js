'use strict';
// @ts-check

// One message channel over a socket: whole messages in both directions, callbacks of queued ones, and whether it
// keeps the process alive. Knows nothing of handles' meaning, of disconnecting or of the child.

const { AsyncResource } = require('node:async_hooks');
const os = require('node:os');

const calls = require('./calls');
const { errnoException, validateInteger, validateObject } = require('../errors');
const { engine, kinds, on } = require('../native');
const { Lane } = require('./lane');
const { Outbox } = require('./outbox');
const { RowReader } = require('./row_reader');
const { RowWriter } = require('./row_writer');
const serialization = require('./serialization');
const { SafeMap, arrayFilter, arrayPush, arraySplice } = require('../untampered');

/** Open wires by the engine's id. @type {Map<number, Wire>} */
const open = new SafeMap();

on(kinds.CHANNEL_INPUT, (id) => open.get(id)?.input());
on(kinds.CHANNEL_WRITTEN, (id, count, errno) => open.get(id)?.written(count, errno));
on(kinds.CHANNEL_ENDED, (id, errno) => open.get(id)?.ended(errno));
// A turn of the loop is for others too. The immediate keeps it from waiting for input.
on(kinds.CHANNEL_MORE, (id) => void setImmediate(() => engine.channelContinue(id)));

/**
 * What a wire tells its user.
 * @typedef {object} WireEvents
 * @property {() => void} onTurn before the messages that arrived together
 * @property {(message: any) => void} onMessage
 * @property {() => void} onInput after the messages that arrived together
 * @property {() => void} onWritten some of what was queued is written, or lost
 * @property {() => void} onDrained all that was queued is written, or lost
 * @property {(errno: number) => void} onEnd nothing more will arrive
 * @property {(isHeld: boolean) => void} [onHeld] something is queued, or no longer; where somebody else counts what
 *   keeps the process alive
 */

class Wire {
  /**
   * @param {() => number} takeFd gives the socket, which the wire owns from then on
   * @param {string} mode 'json' or 'advanced'
   * @param {WireEvents} events
   */
  constructor(takeFd, mode, events) {
    const codec = serialization[mode];
    const id = engine.channelOpen(takeFd(), codec.isAdvanced);
    if (id < 0) throw errnoException(id, 'open');
    this.id = id;
    this.codec = codec;
    this.events = events;
    /** Events run in the asynchronous context the channel was made in. */
    this.resource = new AsyncResource('PIPEWRAP');
    /** Of the messages queued, in order. @type {Array<((error: Error | null) => void) | undefined>} */
    this.callbacks = [];
    this.isReferenced = true;
    /** Whether the user has chosen; else what is queued keeps the process alive too. */
    this.isReferencedByChoice = false;
    this.isByRing = false;
    /** Whether only rcluster writes what is read. */
    this.isReadByRing = false;
    this.rows = new RowWriter();
    this.rowsRead = new RowReader();
    this.isDelivering = false;
    this.deliver = (/** @type {any} */ message) => {
      this.isDelivering = true;
      events.onMessage(message);
      this.isDelivering = false;
    };
    /** Bytes. */
    this.messageLimit = Infinity;
    /** @type {number | undefined} */
    this.queueLimit = undefined;
    /** Where small messages are written to without a call, once they go through a ring. @type {InstanceType<typeof Lane> | undefined} */
    this.lane = undefined;
    /** Where messages go that go by the socket, or wait behind others. @type {InstanceType<typeof Outbox> | undefined} */
    this.outbox = undefined;
    open.set(id, this);
  }

  /** The descriptor; negative once closed. */
  get fd() {
    return engine.channelFd(this.id);
  }

  /** Whether part of a message has arrived. */
  get isPartial() {
    return engine.channelIsPartial(this.id);
  }

  /** Bytes queued. */
  get queued() {
    if (this.callbacks.length === 0) return 0;
    const { outbox } = this;
    return outbox !== undefined && outbox.count > 0
      ? outbox.queuedBefore + outbox.length
      : calls.queued(this.id);
  }

  /**
   * @param {any} message
   * @param {number} fd to go with it, or -1
   * @param {(error: Error | null) => void} [callback] called once it is written
   * @returns {number} 0, or a negative errno
   */
  write(message, fd, callback) {
    // Node takes anything for it, and calls what can be called.
    if (typeof callback !== 'function') callback = undefined;
    this.rows.uses++;
    const isQueueing = this.callbacks.length > 0;
    const writer = isQueueing || this.lane === undefined ? (this.outbox ??= new Outbox(this)) : this.lane;
    const status = this.codec.write(this, message, fd, writer);
    if (status === 1) {
      arrayPush(this.callbacks, callback && AsyncResource.bind(callback, 'WRITEWRAP'));
      if (!isQueueing) this.hold(true);
      return 0;
    }
    if (status === 0 && callback) process.nextTick(callback, null);
    return status;
  }

  /**
   * The handle that came with a message, as it is read.
   * @returns {{ fd: number, kind: 'tcp' | 'pipe' | 'udp' } | undefined}
   */
  takeHandle() {
    return /** @type {any} */ (engine.channelTakeHandle(this.id) ?? undefined);
  }

  /** @param {boolean} isReferenced @param {boolean} isChoice of the user */
  setRef(isReferenced, isChoice) {
    this.isReferenced = isReferenced;
    this.isReferencedByChoice ||= isChoice;
    this.updateRef();
  }

  /** @param {boolean} isHeld */
  hold(isHeld) {
    if (this.events.onHeld) this.events.onHeld(isHeld);
    else this.updateRef();
  }

  updateRef() {
    const isHeld = !this.isReferencedByChoice && this.callbacks.length > 0;
    calls.setRef(this.id, this.isReferenced || isHeld ? 1 : 0);
  }

  /** Sends through the ring from now on. */
  sendByRing() {
    this.outbox?.giveBack();
    engine.channelSendByRing(this.id);
    this.isByRing = true;
    // Else once what is queued has left.
    if (this.callbacks.length === 0) this.lane = Lane.of(this);
  }

  /** Expects messages from the ring from now on. */
  receiveByRing() {
    engine.channelReceiveByRing(this.id);
    this.isReadByRing = true;
  }

  /** Stops reading, or goes on. @param {boolean} on */
  pause(on) {
    engine.channelPause(this.id, on);
  }

  /**
   * Refuses what is too large, in either direction, and more than so much that waits to be sent.
   * @param {{ messageSize?: number, queueSize?: number }} limits in bytes; none unless given
   */
  setLimits(limits) {
    validateObject(limits, 'limits');
    const { messageSize, queueSize } = limits;
    if (messageSize !== undefined) validateInteger(messageSize, 'limits.messageSize', 1, 2 ** 32 - 1);
    if (queueSize !== undefined) validateInteger(queueSize, 'limits.queueSize', 1, 2 ** 32 - 1);
    engine.channelSetLimit(this.id, messageSize ?? 0);
    this.rows.uses++;
    this.lane?.giveBack();
    this.outbox?.giveBack();
    this.messageLimit = messageSize ?? Infinity;
    this.queueLimit = queueSize;
  }

  close() {
    if (!open.delete(this.id)) return;
    this.rows.uses++;
    this.lane?.close();
    this.lane = undefined;
    this.outbox = undefined;
    engine.channelClose(this.id);
    const lost = arrayFilter(this.callbacks, (/** @type {any} */ callback) => callback !== undefined);
    this.callbacks = [];
    for (const callback of lost)
      process.nextTick(callback, errnoException(-os.constants.errno.ECANCELED, 'write'));
  }

  input() {
    try {
      this.events.onTurn();
    } finally {
      this.resource.runInAsyncScope(this.read, this);
    }
  }

  read() {
    this.isDelivering = false;
    try {
      this.codec.read(this);
    } catch (error) {
      // From a socket what cannot be read is an uncaught exception, as in Node: a program may write there by itself.
      if (this.isDelivering || !this.isReadByRing) throw error;
      this.ended(-os.constants.errno.EPROTO);
      return;
    }
    this.events.onInput();
  }

  /** @param {number} count @param {number} errno */
  written(count, errno) {
    for (const callback of arraySplice(this.callbacks, 0, count)) {
      if (callback) process.nextTick(callback, errno === 0 ? null : errnoException(errno, 'write'));
    }
    this.resource.runInAsyncScope(this.events.onWritten);
    if (this.callbacks.length > 0) return;
    if (this.isByRing) this.lane ??= Lane.of(this);
    this.hold(false);
    this.resource.runInAsyncScope(this.events.onDrained);
  }

  /** @param {number} errno */
  ended(errno) {
    this.resource.runInAsyncScope(this.events.onEnd, undefined, errno);
  }
}

module.exports = { Wire };
