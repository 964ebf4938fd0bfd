'use strict';
// @ts-check

// Many objects of one shape, as their keys once and then all their values: half the text, and each property is read
// exactly once.

const { types } = require('node:util');

const { getPrototypeOf, keys } = Object;
const { isProxy } = types;

/** Rows below which it does not pay. */
const MIN_ROWS = 32;
const MAX_WIDTH = 64;

/**
 * The text for an array whose elements are plain objects with the same keys in the same order and values that JSON
 * does not change; `undefined` for any other.
 * @param {any[]} rows
 * @returns {string | undefined}
 */
function toColumns(rows) {
  const { length } = rows;
  if (length < MIN_ROWS || !isPlain(rows[0])) return undefined;
  const names = keys(rows[0]);
  const width = names.length;
  if (width === 0 || width > MAX_WIDTH || names.includes('__proto__')) return undefined;
  const values = new Array(length * width);
  for (let row = 0, at = 0; row < length; row++, at += width) {
    const object = rows[row];
    if (!isPlain(object)) return undefined;
    let column = 0;
    for (const name in object) {
      if (name !== names[column]) return undefined;
      const value = object[name];
      if (!isJsonPrimitive(value)) return undefined;
      values[at + column++] = value;
    }
    if (column !== width) return undefined;
  }
  // No properties but elements, and no element twice.
  if (keys(rows).length !== length || new Set(rows).size !== length) return undefined;
  return JSON.stringify([names, values]);
}

/** @param {string} text */
function fromColumns(text) {
  const [names, values] = JSON.parse(text);
  const width = names.length;
  const rows = new Array(values.length / width);
  // A copy has its shape from the start; adding properties would go through one shape for each.
  const template = Object.fromEntries(names.map((/** @type {string} */ name) => [name, undefined]));
  for (let row = 0, at = 0; row < rows.length; row++) {
    /** @type {any} */
    const object = { ...template };
    for (let column = 0; column < width; column++) object[names[column]] = values[at++];
    rows[row] = object;
  }
  return rows;
}

/** @param {any} value */
function isPlain(value) {
  return (
    typeof value === 'object' &&
    value !== null &&
    getPrototypeOf(value) === Object.prototype &&
    !isProxy(value)
  );
}

/** @param {any} value */
function isJsonPrimitive(value) {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return true;
    case 'number':
      return value === 0 ? 1 / value > 0 : value - value === 0;
    default:
      return value === null;
  }
}

module.exports = { fromColumns, toColumns };
