'use strict';
// @ts-check

// Messages as bytes and back: Node's 'json' and 'advanced', towards a native channel that does the framing.

const { Buffer } = require('node:buffer');
const v8 = require('node:v8');

const calls = require('./calls');
const { collect } = require('./collecting');
const { codedError } = require('../errors');
const { NOT_TAKEN } = require('./outbox');
const {
  JSON_KIND,
  MARK,
  ROW_KIND,
  asBytes,
  openRowViews,
  openStrings,
  openViews,
  padded,
  unshared,
  writeBlocks,
  writeStrings,
  writeViews,
} = require('./parcels');
const { LARGE, PLAIN, PLAIN_BUT_LARGE, plainness } = require('./plain');
const { asElement } = require('./row_writer');
const { arrayPush, stringIndexOf, stringReplaceAll, stringSlice } = require('../untampered');

const { parse, stringify } = JSON;
const { getPrototypeOf } = Object;

/** Bytes of a frame's length. */
const HEADER = 4;
const header = Buffer.alloc(HEADER);

/** Before a host object: a view of an ArrayBuffer, or a plain copy of something else. */
const VIEW_TAG = 0;
const COPY_TAG = 1;
/** A Buffer, or Uint8Array, beside the frame. */
const BESIDE_TAG = 2;

/** Of one message, those between large bytes included. */
const MAX_PARTS = 64;

/** How many messages are looked at for large strings after one that has some. */
const LOOKED_AT = 16;

/** Node's structured clone for messages: what cannot be cloned but has properties goes as a copy of these. */
class Serializer extends /** @type {any} */ (v8.DefaultSerializer) {
  /** What goes beside the frame, where that may be. @type {Uint8Array[] | undefined} */
  blocks = undefined;
  /** What is before, between and behind large bytes, and these, where they need not be in one piece. @type {Uint8Array[] | undefined} */
  parts = undefined;

  /** @param {any} object */
  _writeHostObject(object) {
    const { blocks } = this;
    if (blocks !== undefined && object.byteLength >= LARGE) {
      const prototype = getPrototypeOf(object);
      if (prototype === Buffer.prototype || prototype === Uint8Array.prototype) {
        this.writeUint32(BESIDE_TAG);
        this.writeUint32(prototype === Buffer.prototype ? 1 : 0);
        this.writeUint32(object.byteLength);
        arrayPush(blocks, unshared(object));
        return;
      }
    }
    if (ArrayBuffer.isView(object)) {
      this.writeUint32(VIEW_TAG);
      super._writeHostObject(object);
      return;
    }
    this.writeUint32(COPY_TAG);
    this.writeValue({ ...object });
  }

  /** Large ones are sent from where they are. @param {Uint8Array} bytes */
  writeRawBytes(bytes) {
    const { parts } = this;
    if (parts === undefined || bytes.byteLength < LARGE || parts.length >= MAX_PARTS) {
      super.writeRawBytes(bytes);
      return;
    }
    arrayPush(parts, this.releaseBuffer());
    arrayPush(parts, unshared(bytes));
  }
}

class Deserializer extends /** @type {any} */ (v8.DefaultDeserializer) {
  /** Where the next block beside the frame begins. */
  blockAt = 0;
  /** All frames that arrived together. @type {any} */
  frames = undefined;

  _readHostObject() {
    const tag = this.readUint32();
    if (tag === VIEW_TAG) return super._readHostObject();
    if (tag === COPY_TAG) return this.readValue();
    const isBuffer = this.readUint32() === 1;
    const { frames, blockAt: start } = this;
    const end = start + this.readUint32();
    this.blockAt = start + padded(end - start);
    const block = frames.subarray(start, end);
    return isBuffer ? block : new Uint8Array(frames.buffer, block.byteOffset, block.length);
  }
}

/** The first byte of v8's format. Text in its place is JSON, which only an end like this one sends. */
const V8_FORMAT = 0xff;

/** From which length on messages that arrived together are parsed one by one. */
const MAX_TOGETHER = 128 * 1024;

/**
 * Takes messages that fit: the ring's lane or the socket's outbox. Each method returns what the engine does, or
 * NOT_TAKEN.
 * @typedef {object} Writer
 * @property {boolean} takesText whether the other end takes text in 'advanced' mode, and parcels
 * @property {number} largeExpected how many messages to look at for large strings, since there were some
 * @property {(message: any) => number} writeRow where it takes text; if it is not taken, `wire.rows` may have another
 *   message instead
 * @property {(line: string) => number} writeLine
 * @property {(text: string) => number} writeText
 * @property {(frame: Buffer) => number} writeFrame
 * @property {() => void} giveBack lets the engine write
 */

/**
 * @typedef {InstanceType<typeof import('./wire').Wire>} Wire
 * @typedef {object} Codec
 * @property {boolean} isAdvanced
 * @property {(wire: Wire, message: any, fd: number, writer: Writer) => number} write a message and, unless negative,
 *   a descriptor; returns 0 if it is written, 1 if it is queued, else a negative errno
 * @property {(wire: Wire) => void} read all messages that have arrived
 */

/** @type {Codec} */
const json = {
  isAdvanced: false,

  write(wire, message, fd, writer) {
    const { id } = wire;
    if (writer.takesText && fd < 0) {
      const status = writer.writeRow(message);
      if (status !== NOT_TAKEN) return status;
      message = wire.rows.takeInstead(message);
    }
    if (writer.largeExpected > 0 && fd < 0) {
      writer.largeExpected--;
      writer.giveBack();
      const status = writeStrings(id, message);
      if (status !== undefined) {
        writer.largeExpected = LOOKED_AT;
        return status;
      }
    }
    let line = stringify(message);
    // From a `toJSON` that returns nothing. Node sends this as a line that ends the receiver by a SyntaxError.
    if (line === undefined) {
      throw codedError(
        'ERR_INVALID_ARG_TYPE',
        'message',
        ['string', 'object', 'number', 'boolean'],
        undefined,
      );
    }
    if (line.length > LARGE && writer.takesText) writer.largeExpected = LOOKED_AT;
    const status = fd < 0 ? writer.writeLine(line) : NOT_TAKEN;
    if (status !== NOT_TAKEN) return status;
    writer.giveBack();
    if (writer.takesText) line = `${asElement(line)},`;
    if (line.length > LARGE) {
      const bytes = asBytes(line);
      if (bytes !== undefined) return calls.writeFrame(id, bytes, fd);
    }
    return calls.writeLine(id, line, fd);
  },

  read(wire) {
    const { id, deliver, rowsRead } = wire;
    if (wire.isReadByRing) {
      const taken = /** @type {any} */ (calls.take(id));
      if (typeof taken === 'string') rowsRead.read(taken, deliver);
      else if (taken !== undefined) deliver(openStrings(taken));
      return;
    }
    const lines = calls.takeLines(id);
    if (!lines) return;
    const messages = parseTogether(lines);
    if (messages !== undefined) {
      for (let index = 0; index < messages.length; index++) deliver(messages[index]);
      return;
    }
    let start = 0;
    for (let end = stringIndexOf(lines, '\n'); end !== -1; end = stringIndexOf(lines, '\n', start)) {
      // An empty one is a bell that was rung between the last message of the wire and the first of the ring.
      if (end > start) deliver(parse(stringSlice(lines, start, end)));
      start = end + 1;
    }
  },
};

/**
 * Parses many short lines at once, which takes half the time. What is wrong is for the slower way to find.
 * @param {string} lines
 * @returns {any[] | undefined}
 */
function parseTogether(lines) {
  if (lines.length > MAX_TOGETHER || stringIndexOf(lines, '\n') === lines.length - 1) return undefined;
  try {
    return parse(`[${stringReplaceAll(stringSlice(lines, 0, -1), '\n', ',')}]`);
  } catch {
    return undefined;
  }
}

/**
 * Sends a frame that is not in one piece.
 * @param {number} id of the channel
 * @param {any[]} parts Uint8Arrays; the first begins with room for the length, and is a Buffer
 * @param {Buffer} last
 * @returns {number} what the engine does
 */
function writeGathered(id, parts, last) {
  arrayPush(parts, last);
  let length = -HEADER;
  for (let index = 0; index < parts.length; index++) length += parts[index].length;
  parts[0].writeUInt32BE(length, 0);
  return calls.writeGathered(id, parts);
}

/** @type {Codec} */
const advanced = {
  isAdvanced: true,

  write(wire, message, fd, writer) {
    const { id } = wire;
    if (writer.takesText && fd < 0) {
      let status = writer.writeRow(message);
      if (status !== NOT_TAKEN) return status;
      message = wire.rows.takeInstead(message);
      const kind = plainness(message);
      if (kind === PLAIN) {
        status = writer.writeText(stringify(message));
        if (status !== NOT_TAKEN) return status;
      } else if (kind === PLAIN_BUT_LARGE) {
        writer.giveBack();
        return writeViews(id, message);
      }
    }
    const serializer = new Serializer();
    if (fd < 0) {
      if (writer.takesText) serializer.blocks = [];
      else serializer.parts = [];
    }
    serializer.writeRawBytes(header);
    serializer.writeHeader();
    serializer.writeValue(message);
    const frame = serializer.releaseBuffer();
    if (serializer.blocks !== undefined && serializer.blocks.length > 0) {
      writer.giveBack();
      return writeBlocks(id, frame, HEADER, serializer.blocks);
    }
    if (serializer.parts !== undefined && serializer.parts.length > 0) {
      writer.giveBack();
      return writeGathered(id, serializer.parts, frame);
    }
    frame.writeUInt32BE(frame.length - HEADER, 0);
    const status = fd < 0 ? writer.writeFrame(frame) : NOT_TAKEN;
    if (status !== NOT_TAKEN) return status;
    writer.giveBack();
    return calls.writeFrame(id, frame, fd);
  },

  read(wire) {
    const { id, deliver, rowsRead } = wire;
    const frames = /** @type {any} */ (wire.isReadByRing ? calls.take(id) : calls.takeFrames(id));
    if (frames === undefined) return;
    if (typeof frames === 'string') {
      rowsRead.read(frames, deliver);
      return;
    }
    if (frames.length >= LARGE) collect(frames.length);
    for (let start = 0; start < frames.length;) {
      const end = start + HEADER + frames.readUInt32BE(start);
      const format = frames[start + HEADER];
      const kind = format === MARK ? frames[start + HEADER + 1] : 0;
      if (kind !== 0) {
        let message;
        if (kind === ROW_KIND) message = openRowViews(frames, start, end, rowsRead);
        else if (kind === JSON_KIND) message = openViews(frames, start, end);
        else throw new Error('no such kind');
        start = end;
        deliver(message);
        continue;
      }
      if (format === MARK) {
        const skeleton = start + HEADER + 8;
        const skeletonEnd = skeleton + frames.readUInt32LE(start + HEADER + 4);
        const deserializer = new /** @type {any} */ (Deserializer)(frames.subarray(skeleton, skeletonEnd));
        deserializer.frames = frames;
        deserializer.blockAt = start + padded(skeletonEnd - start);
        start = end;
        deserializer.readHeader();
        deliver(deserializer.readValue());
        continue;
      }
      if (format !== V8_FORMAT) {
        const text = frames.toString('utf8', start + HEADER, end);
        start = end;
        if (text === '') throw new Error('an empty message');
        rowsRead.read(`[${text}\n0]`, deliver);
        continue;
      }
      const deserializer = new /** @type {any} */ (Deserializer)(frames.subarray(start + HEADER, end));
      start = end;
      deserializer.readHeader();
      deliver(deserializer.readValue());
    }
  },
};

/** By the value of the option `serialization`. @type {Record<string, Codec>} */
module.exports = { json, advanced };
