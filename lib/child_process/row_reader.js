'use strict';
// @ts-check

// Reads what row_writer.js has written, and describes. It comes from another process: what cannot be is an error.

const { compileFunction } = require('node:vm');

const { MOST, MOST_KEYS, MOST_SHAPES, isUsable } = require('./row_writer');
const { arrayPush, stringIndexOf, stringSlice } = require('../untampered');

const { parse, stringify } = JSON;
const { isArray } = Array;

/**
 * What messages of the same keys are made by.
 * @typedef {(values: any[], at: number) => any} Maker
 */

/** Reads those of one channel. */
class RowReader {
  constructor() {
    /** @type {Array<{ length: number, make: Maker }>} */
    this.shapes = [];
  }

  /**
   * @param {string} list all that has arrived, each with its comma, in brackets and with a zero at its end
   * @param {(message: any) => void} deliver
   */
  read(list, deliver) {
    const values = parseOrNothing(list);
    if (values !== undefined) {
      this.readValues(values, deliver);
      return;
    }
    // What comes before nonsense arrives.
    let start = 1;
    for (let end = stringIndexOf(list, '\n'); end !== -1; end = stringIndexOf(list, '\n', start)) {
      this.readValues(parse(`[${stringSlice(list, start, end)}0]`), deliver);
      start = end + 1;
    }
  }

  /** @param {any[]} values @param {(message: any) => void} deliver */
  readValues(values, deliver) {
    const { shapes } = this;
    const end = values.length - 1;
    for (let at = 0; at < end;) {
      const value = values[at++];
      if (typeof value === 'number') {
        const shape = shapes[value];
        if (shape === undefined || shape.length > end - at) throw new Error('no such row');
        const message = shape.make(values, at);
        at += shape.length;
        deliver(message);
      } else if (typeof value === 'object' && value !== null) {
        if (!isArray(value)) deliver(value);
        else if (value.length === 1) deliver(value[0]);
        else throw new Error('no such message');
      } else {
        this.learn(value);
      }
    }
  }

  /** @param {any} text */
  learn(text) {
    const keys = typeof text === 'string' && text.length < MOST ? parse(text) : undefined;
    if (!isArray(keys) || keys.length === 0 || keys.length > MOST_KEYS || this.shapes.length >= MOST_SHAPES)
      throw new Error('no such keys');
    for (let index = 0; index < keys.length; index++) {
      if (!isUsable(keys[index])) throw new Error('no such keys');
    }
    arrayPush(this.shapes, { length: keys.length, make: makerOf(keys) });
  }
}

/** @param {string} list @returns {any[] | undefined} */
function parseOrNothing(list) {
  try {
    return parse(list);
  } catch {
    return undefined;
  }
}

/**
 * What makes an object as JSON.parse does: setters that all objects inherit are not called. Works where `new Function` is
 * forbidden.
 * @param {string[]} keys
 * @returns {Maker}
 */
function makerOf(keys) {
  let properties = '';
  for (let index = 0; index < keys.length; index++)
    properties += `${stringify(keys[index])}:values[at+${index}],`;
  return /** @type {any} */ (compileFunction(`return {${properties}}`, ['values', 'at']));
}

module.exports = { RowReader };
