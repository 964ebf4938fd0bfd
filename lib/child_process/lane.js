'use strict';
// @ts-check

// The sending lane of a ring, lent to JavaScript: a message that fits is written here, byte by byte of shared
// memory, in a tenth of the time a call into the engine takes. What does not fit is the engine's, which knows how
// to wrap around, to wait for room and to queue; the lane goes back to it for that long.
//
// What the other side writes is one number, and it is believed only where it is possible.

const { Buffer } = require('node:buffer');

const calls = require('./calls');
const { engine } = require('../native');
const { NOT_TAKEN, UV_EMSGSIZE } = require('./outbox');
const { ROW_PADDING, ROW_START, writeRowViews } = require('./parcels');
const rows = require('./row_writer');

const { AROUND, COMMA, MOST_PER_UNIT, NEWLINE } = rows;

/** The same as in src/ipc/ring.rs. */
const SIZE = 1 << 20;
const HEADER = 4096;
const WRITTEN = 0 / 4;
const READ = 64 / 4;
const READER_SLEEPS = 128 / 4;

/** Bytes of a frame's length. */
const FRAME_HEADER = 4;

class Lane {
  takesText = true;

  largeExpected = 0;

  /**
   * @param {InstanceType<typeof import('./wire').Wire>} wire
   * @returns {Lane | undefined} where there is one
   */
  static of(wire) {
    /** @type {Lane | undefined} */
    let lane;
    engine.channelShareLane(wire.id, (memory) => {
      lane = new Lane(wire, memory);
    });
    return lane;
  }

  /** @param {InstanceType<typeof import('./wire').Wire>} wire @param {ArrayBuffer} memory */
  constructor(wire, memory) {
    this.wire = wire;
    this.id = wire.id;
    this.memory = memory;
    this.numbers = new Int32Array(memory, 0, HEADER / 4);
    this.bytes = /** @type {any} */ (Buffer.from(memory, HEADER, SIZE));
    /** For rows beside which something goes. @type {any} */
    this.head = undefined;
    /** Whether it is ours to write to. */
    this.isLent = false;
    /** Bytes written, modulo 2^32. */
    this.written = 0;
    /** Bytes read by the other side, when it was last looked at. */
    this.read = 0;
  }

  /** The place for up to `most` bytes in a row, or -1. @param {number} most */
  placeFor(most) {
    if (!this.isLent && !this.borrow()) return -1;
    const place = this.written & (SIZE - 1);
    // The last byte before its end is always the engine's, which so comes by once each time around.
    if (most >= SIZE - place) return -1;
    if (most <= SIZE - ((this.written - this.read) >>> 0)) return place;
    this.read = Atomics.load(this.numbers, READ);
    // A number that cannot be leaves no room either; the engine then says what is wrong.
    return most <= SIZE - ((this.written - this.read) >>> 0) ? place : -1;
  }

  /** @param {number} count */
  publish(count) {
    this.written = (this.written + count) | 0;
    // The order matters, as in `Lane::lower` of the engine: publish, then look whether the reader sleeps.
    Atomics.store(this.numbers, WRITTEN, this.written);
    return Atomics.load(this.numbers, READER_SLEEPS) === 0 ? 0 : calls.wake(this.id);
  }

  /** Writes a message as its values, if it is for that and there is room; else NOT_TAKEN. @param {any} message */
  writeRow(message) {
    const { bytes, wire } = this;
    const writer = wire.rows;
    if (wire.messageLimit !== Infinity) return NOT_TAKEN;
    const shape = writer.shapeFor(message);
    if (shape === undefined) return NOT_TAKEN;
    const { isAdvanced } = wire.codec;
    if (shape.number === -1) {
      const place = this.placeFor(rows.MOST);
      if (place === -1) return NOT_TAKEN;
      const start = isAdvanced ? place + FRAME_HEADER : place;
      const status = this.end(place, start, start + bytes.utf8Write(writer.define(shape), start), isAdvanced);
      if (status !== 0) return status;
    }
    if (shape.isBeside) return this.writeRowViews(shape, message);
    const place = this.placeFor(rows.MOST + AROUND);
    if (place === -1) return NOT_TAKEN;
    const start = isAdvanced ? place + FRAME_HEADER : place;
    const end = writer.write(shape, message, bytes, start, isAdvanced);
    return end === -1 ? NOT_TAKEN : this.end(place, start, end, isAdvanced);
  }

  /** Has the engine write a message as its values, with what is large beside them. @param {rows.Shape} shape @param {any} message */
  writeRowViews(shape, message) {
    const writer = this.wire.rows;
    // One of its own: a getter may send by another channel meanwhile.
    const head = (this.head ??= Buffer.allocUnsafeSlow(ROW_START + rows.MOST + ROW_PADDING));
    const end = writer.write(shape, message, head, ROW_START, true);
    if (end === -1) return NOT_TAKEN;
    const { views = [] } = writer;
    // Not to be kept until the next one.
    writer.views = undefined;
    this.giveBack();
    return writeRowViews(this.id, head, end, views);
  }

  /** Puts an end to what has been written. @param {number} place @param {number} start @param {number} end @param {boolean} isFrame */
  end(place, start, end, isFrame) {
    if (isFrame) writeLength(this.bytes, place, end - start);
    else this.bytes[end++] = NEWLINE;
    return this.publish(end - place);
  }

  /** Writes a message and what ends it, if there is room; else NOT_TAKEN. @param {string} line */
  writeLine(line) {
    const place = this.placeFor(line.length * MOST_PER_UNIT + AROUND);
    if (place === -1) return NOT_TAKEN;
    const end = place + this.bytes.utf8Write(rows.asElement(line), place);
    if (end - place >= this.wire.messageLimit) return UV_EMSGSIZE;
    this.bytes[end] = COMMA;
    return this.end(place, place, end + 1, false);
  }

  /** Writes a text behind its length, if there is room; else NOT_TAKEN. @param {string} text */
  writeText(text) {
    const place = this.placeFor(FRAME_HEADER + text.length * MOST_PER_UNIT + AROUND);
    if (place === -1) return NOT_TAKEN;
    const start = place + FRAME_HEADER;
    const end = start + this.bytes.utf8Write(rows.asElement(text), start);
    if (end - place > this.wire.messageLimit) return UV_EMSGSIZE;
    this.bytes[end] = COMMA;
    return this.end(place, start, end + 1, true);
  }

  /** Writes a frame with its length, if there is room; else NOT_TAKEN. @param {Buffer} frame */
  writeFrame(frame) {
    const place = this.placeFor(frame.length);
    if (place === -1) return NOT_TAKEN;
    if (frame.length > this.wire.messageLimit) return UV_EMSGSIZE;
    this.bytes.set(frame, place);
    return this.publish(frame.length);
  }

  borrow() {
    const written = calls.lendLane(this.id);
    if (written < 0) return false;
    this.written = written | 0;
    this.read = Atomics.load(this.numbers, READ);
    this.isLent = true;
    return true;
  }

  /** Gives it back to the engine, before that writes itself. */
  giveBack() {
    if (!this.isLent) return;
    this.isLent = false;
    calls.resumeLane(this.id, this.written >>> 0);
  }

  close() {
    this.isLent = false;
    engine.channelUnshareLane(this.memory);
  }
}

/** @param {any} bytes @param {number} place @param {number} length */
function writeLength(bytes, place, length) {
  bytes[place] = length >>> 24;
  bytes[place + 1] = length >>> 16;
  bytes[place + 2] = length >>> 8;
  bytes[place + 3] = length;
}

module.exports = { Lane };
