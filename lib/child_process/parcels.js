'use strict';
// @ts-check

// Large strings and buffers between two rcluster ends: beside the message they belong to, as they are, without a look
// at each of their characters. What arrives is what JSON, or a structured clone, would have made of the message.
//
// 'json':     0x01 0 0 0, length of the rest, length of the skeleton, number of blocks, kind and length of each,
//             skeleton, blocks: numbers little endian, skeleton and blocks padded to 8 bytes. No JSON begins so.
// 'advanced': a frame of Node's whose payload is 0x01 KIND 0 0, length of the skeleton, skeleton, blocks, padded too. The
//             skeleton is v8's (kind 0), or JSON (1): the message with zeros, and the place of each block, or a row (2), see
//             row_writer.js.

const { Buffer } = require('node:buffer');
const { isProxy, isSharedArrayBuffer } = require('node:util').types;

const calls = require('./calls');
const { LARGE, withoutLarge: withoutViews } = require('./plain');
const { arrayPush, hasOwn } = require('../untampered');

const { parse, stringify } = JSON;
const { isArray } = Array;
const isInteger = /** @type {(value: unknown) => value is number} */ (Number.isInteger);
const { getOwnPropertyDescriptor, getPrototypeOf, keys: keysOf } = Object;

/** What a parcel begins with; neither JSON nor v8's format does. */
const MARK = 1;

/** What a frame has behind that if its skeleton is JSON, or a row. */
const JSON_KIND = 1;
const ROW_KIND = 2;

/** Values of a message that are looked at. */
const MAX_VALUES = 64;

/** Longer messages go as Node's do. */
const MAX_BYTES = 2 ** 30;

const LATIN1 = 0;
const UTF16 = 1;

/** More room than a string takes if each character takes a byte: where one takes more, more is written. */
const SPARE = 4;

const NEWLINE = 10;

/** Kept for strings on their way, up to this size. */
const KEPT = 4 << 20;
/** @type {any} */
let scratch = Buffer.alloc(0);

/** @param {number} most bytes @returns {any} until the next call */
function memoryFor(most) {
  if (scratch.length >= most) return scratch;
  const memory = Buffer.allocUnsafeSlow(most);
  if (most <= KEPT) scratch = memory;
  return memory;
}

/**
 * A line as bytes, with its newline, until the next call: where each of its characters is one, which is then found
 * out in one go.
 * @param {string} line
 * @returns {Buffer | undefined}
 */
function asBytes(line) {
  const { length } = line;
  const memory = memoryFor(length + SPARE);
  if (memory.utf8Write(line, 0, length + SPARE) !== length) return undefined;
  memory[length] = NEWLINE;
  return memory.subarray(0, length + 1);
}

/** Bytes; a copy where others could write to them meanwhile. @param {Uint8Array} bytes */
function unshared(bytes) {
  return isSharedArrayBuffer(bytes.buffer) ? Buffer.from(bytes) : bytes;
}

// Buffer's own look at their arguments, and cost a cache miss or two more.

/** @param {Uint8Array} bytes @param {number} at */
function readUint32LE(bytes, at) {
  return (bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24)) >>> 0;
}

/** @param {Uint8Array} bytes @param {number} at @param {number} number */
function writeUint32LE(bytes, at, number) {
  bytes[at] = number;
  bytes[at + 1] = number >>> 8;
  bytes[at + 2] = number >>> 16;
  bytes[at + 3] = number >>> 24;
}

/** @param {Uint8Array} bytes @param {number} at @param {number} number */
function writeUint32BE(bytes, at, number) {
  bytes[at] = number >>> 24;
  bytes[at + 1] = number >>> 16;
  bytes[at + 2] = number >>> 8;
  bytes[at + 3] = number;
}

/** @param {number} length */
const padded = (length) => (length + 7) & ~7;

/** Keys that lead to each large string. @type {Array<Array<string | number>>} */
let paths = [];
/** @type {string[]} */
let strings = [];
let count = 0;

/** What is not quite plain is JSON's business. */
const NOT_PLAIN = Symbol('not plain');

/**
 * A copy of a value without its large strings, which go to `strings`; the value itself where it has none.
 * @param {any} value
 * @param {Array<string | number>} path
 * @returns {any}
 */
function withoutLarge(value, path) {
  if (++count > MAX_VALUES) return NOT_PLAIN;
  if (typeof value === 'string') {
    if (value.length < LARGE) return value;
    arrayPush(strings, value);
    arrayPush(paths, path);
    return 0;
  }
  if (typeof value !== 'object' || value === null) return typeof value === 'bigint' ? NOT_PLAIN : value;
  if (isProxy(value)) return NOT_PLAIN;
  const isList = isArray(value);
  if (getPrototypeOf(value) !== (isList ? Array.prototype : Object.prototype) || 'toJSON' in value)
    return NOT_PLAIN;
  if (isList && value.length > MAX_VALUES) return NOT_PLAIN;
  let result = value;
  for (const key of keysOf(value)) {
    // A list's other properties are not for JSON.
    if (isList && `${Number(key)}` !== key) return NOT_PLAIN;
    const descriptor = /** @type {PropertyDescriptor} */ (getOwnPropertyDescriptor(value, key));
    if (descriptor.get !== undefined || descriptor.set !== undefined) return NOT_PLAIN;
    const inner = withoutLarge(descriptor.value, [...path, key]);
    if (inner === NOT_PLAIN) return NOT_PLAIN;
    if (inner === descriptor.value) continue;
    if (result === value) result = isList ? [...value] : { ...value };
    result[key] = inner;
  }
  return result;
}

/**
 * Sends a message for JSON as a parcel, if it has large strings and is plain otherwise.
 * @param {number} id of the channel
 * @param {any} message
 * @returns {number | undefined} what the engine does; undefined where it is to go as JSON
 */
function writeStrings(id, message) {
  paths = [];
  strings = [];
  count = 0;
  const skeleton = withoutLarge(message, []);
  const large = strings;
  if (skeleton === NOT_PLAIN || large.length === 0) return undefined;
  const text = Buffer.from(/** @type {string} */ (stringify([skeleton, paths])));
  let most = 0;
  for (const string of large) most += padded(2 * string.length + SPARE);
  if (most > MAX_BYTES) return undefined;
  const memory = memoryFor(most);
  const start = 16 + 8 * large.length;
  const head = Buffer.alloc(padded(start + text.length));
  /** @type {Buffer[]} */
  const blocks = [];
  let at = 0;
  for (let index = 0; index < large.length; index++) {
    const string = large[index];
    let kind = LATIN1;
    let length = memory.utf8Write(string, at, string.length + SPARE);
    if (length !== string.length) {
      kind = UTF16;
      length = memory.ucs2Write(string, at, 2 * string.length);
    }
    head.writeUInt32LE(kind, 16 + 8 * index);
    head.writeUInt32LE(length, 20 + 8 * index);
    arrayPush(blocks, memory.subarray(at, at + length));
    at += padded(length);
  }
  head[0] = MARK;
  head.writeUInt32LE(head.length - 8 + at, 4);
  head.writeUInt32LE(text.length, 8);
  head.writeUInt32LE(large.length, 12);
  text.copy(head, start);
  return calls.writeParts(id, head, head.length, blocks);
}

/**
 * Puts a message together again.
 * @param {any[]} parcel the skeleton as JSON, and the strings
 */
function openStrings(parcel) {
  const { 0: skeleton, 1: places } = parse(parcel[0]);
  const root = { message: skeleton };
  for (let index = 0; index < places.length; index++) put(root, places[index], parcel[index + 1]);
  return root.message;
}

/**
 * Puts a block where a zero stands for it. The path comes from another process, and must not lead to what objects inherit.
 * @param {any} target
 * @param {Array<string | number>} path
 * @param {any} block
 */
function put(target, path, block) {
  let key = /** @type {string | number} */ ('message');
  for (let index = 0; index < path.length; index++) {
    target = target[key];
    key = path[index];
    if (!hasOwn(target, key)) throw new Error('no such place');
  }
  target[key] = block;
}

/**
 * Sends a frame of v8's with buffers beside it.
 * @param {number} id of the channel
 * @param {Buffer} skeleton with its header, which is not sent
 * @param {number} header bytes of that
 * @param {Uint8Array[]} blocks
 * @returns {number} what the engine does
 */
function writeBlocks(id, skeleton, header, blocks) {
  const length = skeleton.length - header;
  const head = Buffer.alloc(padded(12 + length));
  let total = head.length - 4;
  for (const block of blocks) total += padded(block.length);
  head.writeUInt32BE(total, 0);
  head[4] = MARK;
  head.writeUInt32LE(length, 8);
  skeleton.copy(head, 12, header);
  return calls.writeParts(id, head, head.length, blocks);
}

/** Bytes before the skeleton: the frame's length, what it is, the skeleton's length. */
const FRAME_HEADER = 12;

const ROW_START = FRAME_HEADER;
const ROW_PADDING = 7;

/** UTF-8 takes up to this many bytes for each unit of a string. */
const MOST_PER_UNIT = 3;

/**
 * Sends a message that is plain but for large buffers.
 * @param {number} id of the channel
 * @param {any} message
 * @returns {number} what the engine does
 */
function writeViews(id, message) {
  /** @type {Uint8Array[]} */
  const views = [];
  /** @type {any[]} */
  const list = [0];
  list[0] = withoutViews(message, [], views, list);
  const text = stringify(list);
  const head = memoryFor(padded(FRAME_HEADER + text.length * MOST_PER_UNIT));
  return writeBeside(id, head, JSON_KIND, head.utf8Write(text, FRAME_HEADER), views);
}

/**
 * Sends a row with large buffers beside it.
 * @param {number} id of the channel
 * @param {Uint8Array} head where the row begins at `ROW_START`, and has `ROW_PADDING` behind it
 * @param {number} end
 * @param {Uint8Array[]} views
 * @returns {number} what the engine does
 */
function writeRowViews(id, head, end, views) {
  return writeBeside(id, head, ROW_KIND, end - FRAME_HEADER, views);
}

/**
 * @param {number} id of the channel
 * @param {Uint8Array} head with the skeleton
 * @param {number} kind of that
 * @param {number} length
 * @param {Uint8Array[]} views
 * @returns {number} what the engine does
 */
function writeBeside(id, head, kind, length, views) {
  const end = padded(FRAME_HEADER + length);
  for (let at = FRAME_HEADER + length; at < end; at++) head[at] = 0;
  let total = end - 4;
  for (let index = 0; index < views.length; index++) {
    total += padded(views[index].byteLength);
    views[index] = unshared(views[index]);
  }
  writeUint32BE(head, 0, total);
  writeUint32LE(head, 4, MARK | (kind << 8));
  writeUint32LE(head, 8, length);
  return calls.writeParts(id, head, end, views);
}

/**
 * The message of a frame that `writeViews` has written.
 * @param {any} frames a Buffer
 * @param {number} start
 * @param {number} end
 */
function openViews(frames, start, end) {
  const skeletonEnd = endOfSkeleton(frames, start, end);
  const list = parse(frames.utf8Slice(start + FRAME_HEADER, skeletonEnd));
  if (!isArray(list) || list.length < 2) throw new Error('no such list');
  const root = { message: list[0] };
  let at = start + padded(skeletonEnd - start);
  for (let index = 1; index < list.length; index++) {
    const { 0: path, 1: isBuffer, 2: length } = list[index];
    put(root, path, blockOf(frames, at, end, length, isBuffer === 1));
    at += padded(length);
  }
  return root.message;
}

/**
 * The message of a frame that `writeRowViews` has written.
 * @param {any} frames a Buffer
 * @param {number} start
 * @param {number} end
 * @param {InstanceType<typeof import('./row_reader').RowReader>} rows
 */
function openRowViews(frames, start, end, rows) {
  const skeletonEnd = endOfSkeleton(frames, start, end);
  const values = parse(`[${frames.utf8Slice(start + FRAME_HEADER, skeletonEnd)}0]`);
  const shape = isInteger(values[0]) ? rows.shapes[values[0]] : undefined;
  if (shape === undefined || values.length - 2 < shape.length) throw new Error('no such row');
  let at = start + padded(skeletonEnd - start);
  for (let index = 1 + shape.length; index < values.length - 1; index++) {
    const code = values[index];
    // Of a key that there is, and once.
    const place = 1 + (code >>> 1);
    const length = place <= shape.length ? values[place] : undefined;
    values[place] = blockOf(frames, at, end, length, (code & 1) === 1);
    at += padded(length);
  }
  return shape.make(values, 1);
}

/** @param {any} frames @param {number} start @param {number} end */
function endOfSkeleton(frames, start, end) {
  const skeletonEnd = start + FRAME_HEADER + readUint32LE(frames, start + 8);
  if (skeletonEnd > end) throw new Error('no such skeleton');
  return skeletonEnd;
}

/** @param {any} frames @param {number} at @param {number} end @param {unknown} length @param {boolean} isBuffer */
function blockOf(frames, at, end, length, isBuffer) {
  if (!(isInteger(length) && length >= LARGE && at + length <= end)) throw new Error('no such block');
  const block = frames.subarray(at, at + length);
  return isBuffer ? block : new Uint8Array(frames.buffer, block.byteOffset, length);
}

module.exports = {
  JSON_KIND,
  MARK,
  ROW_KIND,
  ROW_PADDING,
  ROW_START,
  asBytes,
  openRowViews,
  openStrings,
  openViews,
  padded,
  unshared,
  writeBlocks,
  writeRowViews,
  writeStrings,
  writeViews,
};
