'use strict';
// @ts-check

// One message channel over a socket: whole messages in both directions, callbacks of queued ones, and whether it
// keeps the process alive. Knows nothing of handles' meaning, of disconnecting or of the child.

const { AsyncResource } = require('node:async_hooks');
const os = require('node:os');

const { errnoException } = require('../errors');
const { engine, kinds, on } = require('../native');
const serialization = require('./serialization');
const { SafeMap, arrayFilter, arrayPush, arraySplice } = require('../untampered');

/** Open wires by the engine's id. @type {Map<number, Wire>} */
const open = new SafeMap();

on(kinds.CHANNEL_INPUT, (id) => open.get(id)?.input());
on(kinds.CHANNEL_WRITTEN, (id, count, errno) => open.get(id)?.written(count, errno));
on(kinds.CHANNEL_ENDED, (id) => open.get(id)?.ended());

/**
 * What a wire tells its user.
 * @typedef {object} WireEvents
 * @property {(message: any) => void} onMessage
 * @property {() => void} onInput after the messages that arrived together
 * @property {() => void} onDrained all that was queued is written, or lost
 * @property {() => void} onEnd nothing more will arrive
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
    return this.callbacks.length === 0 ? 0 : engine.channelQueued(this.id);
  }

  /**
   * @param {any} message
   * @param {number} fd to go with it, or -1
   * @param {(error: Error | null) => void} [callback] called once it is written
   * @returns {number} 0, or a negative errno
   */
  write(message, fd, callback) {
    const status = this.codec.write(this.id, message, fd);
    if (status === 1) {
      arrayPush(this.callbacks, callback && AsyncResource.bind(callback, 'WRITEWRAP'));
      if (this.callbacks.length === 1) this.updateRef();
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

  updateRef() {
    const isHeld = !this.isReferencedByChoice && this.callbacks.length > 0;
    engine.channelSetRef(this.id, this.isReferenced || isHeld);
  }

  close() {
    if (!open.delete(this.id)) return;
    engine.channelClose(this.id);
    const lost = arrayFilter(this.callbacks, (/** @type {any} */ callback) => callback !== undefined);
    this.callbacks = [];
    for (const callback of lost)
      process.nextTick(callback, errnoException(-os.constants.errno.ECANCELED, 'write'));
  }

  input() {
    this.resource.runInAsyncScope(this.read, this);
  }

  read() {
    const { events } = this;
    this.codec.read(this.id, events.onMessage);
    events.onInput();
  }

  /** @param {number} count @param {number} errno */
  written(count, errno) {
    for (const callback of arraySplice(this.callbacks, 0, count)) {
      if (callback) process.nextTick(callback, errno === 0 ? null : errnoException(errno, 'write'));
    }
    if (this.callbacks.length > 0) return;
    this.updateRef();
    this.resource.runInAsyncScope(this.events.onDrained);
  }

  ended() {
    this.resource.runInAsyncScope(this.events.onEnd);
  }
}

module.exports = { Wire };
