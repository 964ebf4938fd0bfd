'use strict';
// @ts-check

// Big buffers: those that are copied once, as bytes, and not serialized.

const { Buffer } = require('node:buffer');
const { types } = require('node:util');

/** From which size that pays. */
const BIG_BUFFER = 32 * 1024;

/** Above which sizes do not fit where they are told. */
const MAX_BUFFER = 0x7fffffff;

/** What such a value can be; the index goes along. */
const TYPES = [
  ArrayBuffer,
  Int8Array,
  Uint8Array,
  Uint8ClampedArray,
  Int16Array,
  Uint16Array,
  Int32Array,
  Uint32Array,
  Float32Array,
  Float64Array,
  BigInt64Array,
  BigUint64Array,
];

/** @type {Map<any, number>} */
const byPrototype = new Map(TYPES.map((type, index) => [type.prototype, index]));
// Cloning turns a Buffer into what it is made of.
byPrototype.set(Buffer.prototype, TYPES.indexOf(Uint8Array));

/**
 * Which of the types a value is, if it is a big ArrayBuffer or a view of all of one; else -1.
 * @param {any} value
 * @returns {number}
 */
function typeOfBig(value) {
  const isView = ArrayBuffer.isView(value);
  if (!isView && !types.isArrayBuffer(value)) return -1;
  const buffer = /** @type {any} */ (isView ? value.buffer : value);
  const { byteLength } = buffer;
  if (byteLength < BIG_BUFFER || byteLength > MAX_BUFFER || buffer.resizable) return -1;
  if (!types.isArrayBuffer(buffer) || byteLength !== value.byteLength) return -1;
  const type = byPrototype.get(Object.getPrototypeOf(value)) ?? -1;
  return isView === type > 0 ? type : -1;
}

/**
 * The bytes of a value that has such a type.
 * @param {any} value
 */
function bytesOf(value) {
  return new Uint8Array(value.buffer ?? value);
}

/**
 * The value of a type over its bytes.
 * @param {ArrayBuffer} buffer
 * @param {number} type
 */
function fromBytes(buffer, type) {
  return type === 0 ? buffer : new TYPES[type](buffer);
}

/**
 * Memory that is not zeroed before.
 * @param {number} length
 * @returns {any}
 */
function allocate(length) {
  return Buffer.allocUnsafeSlow(length).buffer;
}

/**
 * A copy of a value of such a type.
 * @param {any} value
 * @param {number} type
 * @returns {any}
 */
function copyOfBig(value, type) {
  const buffer = allocate(value.byteLength);
  new Uint8Array(buffer).set(bytesOf(value));
  return fromBytes(buffer, type);
}

module.exports = { BIG_BUFFER, allocate, bytesOf, copyOfBig, fromBytes, typeOfBig };
