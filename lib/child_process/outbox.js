'use strict';
// @ts-check

// Messages on their way to the socket. Each is written at once, as Node writes it, but for two cases, in which
// several go down together, since a call for each takes longer than the rest of `send`:
// - others wait before it: it could not be written before the loop turns in any case;
// - it is one of a long burst in one tick: it is written when the tick ends, or when there are enough.

const { Buffer } = require('node:buffer');
const os = require('node:os');

const calls = require('./calls');
const rows = require('./row_writer');
const { SafeSet } = require('../untampered');

const { AROUND, COMMA, MOST_PER_UNIT, NEWLINE } = rows;

const SIZE = 16 * 1024;

/** Messages in one tick from which on they go together. */
const BURST = 128;

/** What it returns of a message above the limit. */
const UV_EMSGSIZE = -os.constants.errno.EMSGSIZE;

/** What a writer returns that has not written: for want of room, or because this is not for it. */
const NOT_TAKEN = 2;

/** Those that hold messages: a process that ends by `process.exit` writes them. @type {Set<Outbox>} */
const holding = new SafeSet();
let isExitWatched = false;

class Outbox {
  largeExpected = 0;

  /** @param {InstanceType<typeof import('./wire').Wire>} wire */
  constructor(wire) {
    this.wire = wire;
    this.bytes = /** @type {any} */ (Buffer.allocUnsafeSlow(SIZE));
    this.length = 0;
    /** Messages. */
    this.count = 0;
    /** Bytes that the engine has queued. */
    this.queuedBefore = 0;
    /** Messages written one by one, in this tick and maybe before. */
    this.writtenAlone = 0;
  }

  /** Where the ring is full, as to the lane. */
  get takesText() {
    return this.wire.isByRing;
  }

  /** As to the lane; of shapes only that the other end knows. @param {any} message */
  writeRow(message) {
    const { bytes, wire } = this;
    if (wire.messageLimit !== Infinity || wire.codec.isAdvanced) return NOT_TAKEN;
    const shape = wire.rows.shapeFor(message);
    if (shape === undefined || shape.number === -1 || !this.hasRoom(rows.MOST + AROUND)) return NOT_TAKEN;
    const end = wire.rows.write(shape, message, bytes, this.length, false);
    if (end === -1) return NOT_TAKEN;
    bytes[end] = NEWLINE;
    return this.wrote(end + 1);
  }

  /** Writes a message and what ends it. @param {string} line */
  writeLine(line) {
    if (!this.hasRoom(line.length * MOST_PER_UNIT + AROUND)) return NOT_TAKEN;
    const { bytes } = this;
    const { isByRing } = this.wire;
    let end = this.length + bytes.utf8Write(isByRing ? rows.asElement(line) : line, this.length);
    if (end - this.length >= this.wire.messageLimit) return UV_EMSGSIZE;
    if (isByRing) bytes[end++] = COMMA;
    bytes[end] = NEWLINE;
    return this.wrote(end + 1);
  }

  /** To a peer that knows text in 'advanced' mode. */
  writeText() {
    return NOT_TAKEN;
  }

  /** Writes a frame with its length. @param {Buffer} frame */
  writeFrame(frame) {
    if (!this.hasRoom(frame.length)) return NOT_TAKEN;
    if (frame.length > this.wire.messageLimit) return UV_EMSGSIZE;
    this.bytes.set(frame, this.length);
    return this.wrote(this.length + frame.length);
  }

  /** Whether there is room for so many bytes. @param {number} most */
  hasRoom(most) {
    if (most <= SIZE - this.length) return true;
    this.giveBack();
    return most <= SIZE;
  }

  /** A message has been put down. @param {number} end of it @returns {number} what the engine does with it */
  wrote(end) {
    if (this.wire.callbacks.length === 0 && this.isAlone())
      return calls.writeMany(this.wire.id, this.bytes, end, 1);
    this.length = end;
    if (this.count++ === 0) {
      this.queuedBefore = calls.queued(this.wire.id);
      process.nextTick(flush, this);
      holding.add(this);
      watchExit();
    }
    return 1;
  }

  /** Whether the next message goes alone, as far as this tick's number of them is concerned. */
  isAlone() {
    // Half a burst may have come over many ticks, the other half has not.
    if (++this.writtenAlone === BURST / 2) process.nextTick(restart, this);
    return this.writtenAlone < BURST;
  }

  /** Gives what there is to the engine. */
  giveBack() {
    const { length, count, wire } = this;
    if (count === 0) return;
    this.length = 0;
    this.count = 0;
    holding.delete(this);
    const status = calls.writeMany(wire.id, this.bytes, length, count);
    if (status <= 0) process.nextTick(settle, wire, count, status);
  }
}

/** @param {Outbox} outbox */
function flush(outbox) {
  if (outbox.wire.outbox === outbox) outbox.giveBack();
}

/** @param {Outbox} outbox */
function restart(outbox) {
  outbox.writtenAlone = 0;
}

/** @param {InstanceType<typeof import('./wire').Wire>} wire @param {number} count @param {number} status */
function settle(wire, count, status) {
  wire.written(count, status);
}

function watchExit() {
  if (isExitWatched) return;
  isExitWatched = true;
  process.on('exit', () => {
    for (const outbox of holding) flush(outbox);
  });
}

module.exports = { NOT_TAKEN, Outbox, UV_EMSGSIZE };
