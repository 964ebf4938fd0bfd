'use strict';
// @ts-check

// Which messages JSON carries exactly as a structured clone would: between two rcluster ends they go as JSON in
// 'advanced' mode too, which takes a fraction of the time. Says no where it is not sure.

const { isProxy } = require('node:util').types;

const { arrayIncludes, arrayPush } = require('../untampered');

const { getOwnPropertyDescriptor, getPrototypeOf } = Object;
const { isArray } = Array;

/** Larger messages gain nothing, and looking at them costs. */
const MAX_VALUES = 64;
const MAX_STRING = 2048;

/** Objects met, since a second reference to one must arrive as such. @type {object[]} */
const seen = [];
let count = 0;

/** @param {any} message */
function isPlain(message) {
  if (typeof message !== 'object') return isPlainValue(message);
  seen.length = 0;
  count = 0;
  const answer = isPlainValue(message);
  seen.length = 0;
  return answer;
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
  const isList = isArray(value);
  if (isProxy(value) || arrayIncludes(seen, value)) return false;
  if (getPrototypeOf(value) !== (isList ? Array.prototype : Object.prototype)) return false;
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

module.exports = { isPlain };
