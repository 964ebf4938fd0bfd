'use strict';
// @ts-check

// The sending lane of a ring, lent to JavaScript: a message that fits is written here, byte by byte of shared
// memory, in a tenth of the time a call into the engine takes. What does not fit is the engine's, which knows how
// to wrap around, to wait for room and to queue; the lane goes back to it for that long.
//
// What the other side writes is one number, and it is believed only where it is possible.

const { Buffer } = require('node:buffer');

const { engine } = require('../native');
const { NOT_TAKEN, UV_EMSGSIZE } = require('./outbox');

/** The same as in src/ipc/ring.rs. */
const SIZE = 1 << 20;
const HEADER = 4096;
const WRITTEN = 0 / 4;
const READ = 64 / 4;
const READER_SLEEPS = 128 / 4;

const NEWLINE = 10;

/** Bytes of a frame's length. */
const FRAME_HEADER = 4;

/** UTF-8 takes up to this many bytes for each unit of a string. */
const MOST_PER_UNIT = 3;

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
    this.bytes = Buffer.from(memory, HEADER, SIZE);
    /** Whether it is ours to write to. */
    this.isLent = false;
    /** Bytes written, modulo 2^32. */
    this.written = 0;
  }

  /** The place for up to `most` bytes in a row, or -1. @param {number} most */
  placeFor(most) {
    if (!this.isLent && !this.borrow()) return -1;
    const underWay = (this.written - Atomics.load(this.numbers, READ)) >>> 0;
    const place = this.written & (SIZE - 1);
    // A number that cannot be leaves no room either; the engine then says what is wrong.
    return most <= SIZE - underWay && most <= SIZE - place ? place : -1;
  }

  /** @param {number} count */
  publish(count) {
    this.written = (this.written + count) | 0;
    // The order matters, as in `Lane::lower` of the engine: publish, then look whether the reader sleeps.
    Atomics.store(this.numbers, WRITTEN, this.written);
    return Atomics.load(this.numbers, READER_SLEEPS) === 0 ? 0 : engine.channelWake(this.id);
  }

  /** Writes a message and a newline, if there is room; else NOT_TAKEN. @param {string} line */
  writeLine(line) {
    const place = this.placeFor(line.length * MOST_PER_UNIT + 1);
    if (place === -1) return NOT_TAKEN;
    const length = this.bytes.write(line, place, 'utf8');
    if (length >= this.wire.messageLimit) return UV_EMSGSIZE;
    this.bytes[place + length] = NEWLINE;
    return this.publish(length + 1);
  }

  /** Writes a text behind its length, if there is room; else NOT_TAKEN. @param {string} text */
  writeText(text) {
    const place = this.placeFor(FRAME_HEADER + text.length * MOST_PER_UNIT);
    if (place === -1) return NOT_TAKEN;
    const length = this.bytes.write(text, place + FRAME_HEADER, 'utf8');
    if (FRAME_HEADER + length > this.wire.messageLimit) return UV_EMSGSIZE;
    this.bytes.writeUInt32BE(length, place);
    return this.publish(FRAME_HEADER + length);
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
    const written = engine.channelLendLane(this.id);
    if (written < 0) return false;
    this.written = written | 0;
    this.isLent = true;
    return true;
  }

  /** Gives it back to the engine, before that writes itself. */
  giveBack() {
    if (!this.isLent) return;
    this.isLent = false;
    engine.channelResumeLane(this.id, this.written >>> 0);
  }

  close() {
    this.isLent = false;
    engine.channelUnshareLane(this.memory);
  }
}

module.exports = { Lane };
