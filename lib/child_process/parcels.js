'use strict';
// @ts-check

// Large strings and buffers between two rcluster ends: beside the message they belong to, as they are, without a look
// at each of their characters. What arrives is what JSON, or a structured clone, would have made of the message.
//
// 'json':     0x01 0 0 0, length of the rest, length of the skeleton, number of blocks, kind and length of each,
//             skeleton, blocks: numbers little endian, skeleton and blocks padded to 8 bytes. No JSON begins so.
// 'advanced': a frame of Node's whose payload is 0x01 0 0 0, length of the skeleton, skeleton, blocks, padded too.

const { Buffer } = require('node:buffer');
const { isProxy, isSharedArrayBuffer } = require('node:util').types;

const calls = require('./calls');
const { arrayPush } = require('../untampered');

const { stringify } = JSON;
const { isArray } = Array;
const { getOwnPropertyDescriptor, getPrototypeOf, keys: keysOf } = Object;

/** What a parcel begins with; neither JSON nor v8's format does. */
const MARK = 1;

/** Characters, or bytes, from which on something goes beside its message. */
const LARGE = 16 * 1024;

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

/** The bytes of a view; a copy where others could write to them meanwhile. @param {ArrayBufferView} view */
function bytesOf({ buffer, byteOffset, byteLength }) {
  const bytes = Buffer.from(buffer, byteOffset, byteLength);
  return isSharedArrayBuffer(buffer) ? Buffer.from(bytes) : bytes;
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
function openStrings([text, ...blocks]) {
  const [skeleton, places] = JSON.parse(text);
  const root = { message: skeleton };
  for (let index = 0; index < places.length; index++) {
    let target = /** @type {any} */ (root);
    let key = 'message';
    for (const next of places[index]) {
      target = target[key];
      key = next;
    }
    target[key] = blocks[index];
  }
  return root.message;
}

/**
 * Sends a frame of v8's with buffers beside it.
 * @param {number} id of the channel
 * @param {Buffer} skeleton with its header, which is not sent
 * @param {number} header bytes of that
 * @param {Buffer[]} blocks
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

module.exports = { LARGE, MARK, asBytes, bytesOf, openStrings, padded, writeBlocks, writeStrings };
