'use strict';
// @ts-check

// Which messages JSON carries exactly as a structured clone would, but for large Buffers, which go beside it: between two
// rcluster ends they go so in 'advanced' mode too, which takes a fraction of the time. Says no where it is not sure.

const { Buffer } = require('node:buffer');
const { isProxy, isUint8Array } = require('node:util').types;

const { arrayIncludes, arrayPush, arraySlice } = require('../untampered');

const { getOwnPropertyDescriptor, getPrototypeOf, keys: keysOf } = Object;
const { isArray } = Array;

/** Larger messages gain nothing, and looking at them costs. */
const MAX_VALUES = 64;
const MAX_STRING = 2048;

/** Characters, or bytes, from which on something goes beside its message. */
const LARGE = 16 * 1024;

/** Objects met, since a second reference to one must arrive as such. @type {object[]} */
const seen = [];
let count = 0;
/** Large ones. */
let views = 0;

const NO = 0;
const PLAIN = 1;
/** It has large Buffers, or Uint8Arrays, and is plain otherwise. */
const PLAIN_BUT_LARGE = 2;

/** Whether a message is plain. @param {any} message */
function plainness(message) {
  if (typeof message !== 'object') return isPlainValue(message) ? PLAIN : NO;
  seen.length = 0;
  count = 0;
  views = 0;
  const isPlain = isPlainValue(message);
  seen.length = 0;
  if (!isPlain) return NO;
  return views === 0 ? PLAIN : PLAIN_BUT_LARGE;
}

/** @param {any} value @returns {boolean} */
function isPlainValue(value) {
  switch (typeof value) {
    case 'string':
      return value.length <= MAX_STRING;
    case 'boolean':
      return true;
    case 'number':
      // Not NaN, infinite or negative zero.
      return value - value === 0 && (value !== 0 || 1 / value > 0);
    case 'object':
      return value === null || isPlainObject(value);
    default:
      return false;
  }
}

/** @param {any} value */
function isPlainObject(value) {
  if (isProxy(value) || arrayIncludes(seen, value)) return false;
  const prototype = getPrototypeOf(value);
  const isList = isArray(value);
  if (prototype !== (isList ? Array.prototype : Object.prototype)) {
    if (!isUint8Array(value) || value.byteLength < LARGE) return false;
    views++;
    arrayPush(seen, value);
    return prototype === Buffer.prototype || prototype === Uint8Array.prototype;
  }
  if ('toJSON' in value) return false;
  arrayPush(seen, value);
  let keys = 0;
  let last = '';
  for (const key in value) {
    const property = getOwnPropertyDescriptor(value, key);
    // What is inherited is not sent; a getter is asked once, by whoever sends it.
    if (property === undefined || property.get !== undefined || property.set !== undefined) return false;
    if (++count > MAX_VALUES || !isPlainValue(property.value)) return false;
    keys++;
    last = key;
  }
  // Fewer: it has holes. More, or another one at the end: properties with names, which may be as many as the holes.
  return !isList || (keys === value.length && (keys === 0 || last === `${keys - 1}`));
}

/** What leads to a large one, whether it is a Buffer, and its length. @typedef {[Array<string | number>, number, number]} Place */

/**
 * A copy of a message that is plain but large, with a zero in place of each of these; adds them, and where they were.
 * @param {any} value
 * @param {Array<string | number>} path
 * @param {Uint8Array[]} large
 * @param {Place[]} places
 * @returns {any}
 */
function withoutLarge(value, path, large, places) {
  if (isUint8Array(value)) {
    arrayPush(large, value);
    arrayPush(places, [path, getPrototypeOf(value) === Buffer.prototype ? 1 : 0, value.byteLength]);
    return 0;
  }
  let copy = value;
  const keys = keysOf(value);
  for (let index = 0; index < keys.length; index++) {
    const key = keys[index];
    const inner = value[key];
    if (typeof inner !== 'object' || inner === null) continue;
    const innerPath = arraySlice(path);
    arrayPush(innerPath, key);
    const without = withoutLarge(inner, innerPath, large, places);
    if (without === inner) continue;
    if (copy === value) copy = isArray(value) ? arraySlice(value) : { ...value };
    copy[key] = without;
  }
  return copy;
}

module.exports = { LARGE, PLAIN, PLAIN_BUT_LARGE, plainness, withoutLarge };
