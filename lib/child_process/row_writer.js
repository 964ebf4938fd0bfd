'use strict';
// @ts-check

// Messages as they are in a ring, in either serialization: what can be JSON is an element of a list, and a comma ends
// it, so that all that has arrived together is parsed in one go, which takes half the time:
//
//   {"any":"object"},            a message
//   ["any other value"],         one that is no object
//   "[\"id\",\"text\"]",         keys that messages have in common; the next number stands for them, from 0 on
//   0,1,"hello",                 a message of these keys: their number, and its values
//
// In 'advanced' mode a value may be a large Buffer or Uint8Array, which goes beside the row, see parcels.js: its length is
// written in its place, and behind the values, for each, twice the number of its key, and one more for a Buffer.
//
// Many messages have the same few keys. Then their values are all that is written, straight to where they go, in a
// fifth of the time that JSON.stringify takes, and parsed in a third of that for objects.

const { Buffer } = require('node:buffer');
const { isProxy, isUint8Array } = require('node:util').types;

const { LARGE } = require('./plain');
const {
  SafeMap,
  arrayFill,
  arrayIncludes,
  arrayJoin,
  arrayPush,
  defineProperty,
  hasOwn,
  methodDescriptor,
  stringCharCodeAt,
} = require('../untampered');

const { stringify } = JSON;
const { getOwnPropertyDescriptor, getPrototypeOf, keys: keysOf, prototype: plainPrototype } = Object;

/** In which one end tells the other that it writes this. */
const FORMAT = 4;

/** Bytes of a row: what does not fit goes as JSON. */
const MOST = 4096;

/** Longer strings are escaped by JSON.stringify in less time. */
const SHORT = 64;

/** Bytes around a message's text at most: brackets, a comma, and what ends a line. */
const AROUND = 4;

/** Bytes of a short string or number, and the comma. */
const MOST_PER_VALUE = SHORT + 8;

/** Of what is behind the values, for each that goes beside them. */
const MOST_PER_VIEW = 3;

const MOST_KEYS = 32;
const MOST_KEY_UNITS = 512;
const MOST_SHAPES = 64;

/** Messages with the same keys, from which on they go as rows: the other end makes a function for them. */
const SEEN_BEFORE = 32;

/** Keys counted, of which any may become shapes. */
const MOST_COUNTED = 256;

/** Messages in a row that are no rows, and how many are not looked at after that. */
const MISSES = 16;
const NOT_LOOKED_AT = 256;

/** Rows that were not taken in the end: messages with these keys have values that JSON is for. */
const MOST_REFUSALS = 8;

const NEWLINE = 10;
const QUOTE = 34;
const COMMA = 44;
const MINUS = 45;
const ZERO = 48;
const BACKSLASH = 92;
const OPENING_BRACE = 123;

/** UTF-8 takes up to this many bytes for each unit of a string. */
const MOST_PER_UNIT = 3;

/** `{ "key": value }` sets no property then. */
const isUsable = (/** @type {unknown} */ key) => typeof key === 'string' && key !== '__proto__';

/**
 * A message's text as an element of the list, without the comma.
 * @param {string} text
 */
function asElement(text) {
  return stringCharCodeAt(text, 0) === OPENING_BRACE ? text : `[${text}]`;
}

/**
 * @typedef {object} Shape
 * @property {number} number -1 until the other end knows it
 * @property {string[]} keys
 * @property {Shape | undefined} next which came after it the last time
 * @property {number} refusals
 * @property {boolean} isBeside whether the last one had what goes beside its row
 */

/** Writes those of one channel. */
class RowWriter {
  constructor() {
    /** @type {Shape | undefined} */
    this.current = undefined;
    /** By their keys. @type {Map<string, Shape>} */
    this.shapes = new SafeMap();
    /** How often keys were seen that are no shape yet. @type {Map<string, number>} */
    this.counts = new SafeMap();
    this.misses = 0;
    this.notLookedAt = 0;
    /** What is to be sent in place of a message that `write` has begun with: each property is read once. @type {any} */
    this.instead = undefined;
    /** For values of the row that is being written; not here meanwhile, since a getter may send. @type {any[] | undefined} */
    this.values = undefined;
    /** What goes beside the row that was written last, if anything does. @type {Uint8Array[] | undefined} */
    this.views = undefined;
    /** Counts what may write to where a row is being written: a getter may send, or close the channel. */
    this.uses = 0;
    /** How many shapes the other end knows. */
    this.numbered = 0;
  }

  /**
   * The shape of a message that is to be written as a row; undefined where it is not. Reads none of its properties.
   * @param {any} message
   * @returns {Shape | undefined}
   */
  shapeFor(message) {
    if (this.notLookedAt > 0) {
      this.notLookedAt--;
      return undefined;
    }
    const shape = this.find(message);
    if (shape === undefined) return undefined;
    if (shape.refusals < MOST_REFUSALS) return shape;
    return this.miss();
  }

  miss() {
    if (++this.misses === MISSES) {
      this.misses = 0;
      this.notLookedAt = NOT_LOOKED_AT;
    }
    return undefined;
  }

  /** @param {any} message @returns {Shape | undefined} */
  find(message) {
    if (typeof message !== 'object' || message === null || isProxy(message)) return this.miss();
    if (getPrototypeOf(message) !== plainPrototype || 'toJSON' in message) return this.miss();
    const last = this.current;
    if (last === undefined) {
      this.current = this.lookUp(message);
      return this.current;
    }
    if (hasKeys(message, last.keys)) return last;
    let { next } = last;
    if (next === undefined || !hasKeys(message, next.keys)) {
      next = this.lookUp(message);
      if (next === undefined) return undefined;
      last.next = next;
    }
    this.current = next;
    return next;
  }

  /**
   * The shape of a message, once others like it have come.
   * @param {any} message
   * @returns {Shape | undefined}
   */
  lookUp(message) {
    const keys = keysOf(message);
    if (keys.length === 0 || keys.length > MOST_KEYS) return this.miss();
    const name = arrayJoin(keys, '\n');
    const known = this.shapes.get(name);
    if (known !== undefined) return known;
    if (this.shapes.size >= MOST_SHAPES || name.length > MOST_KEY_UNITS) return this.miss();
    const count = (this.counts.get(name) ?? 0) + 1;
    if (count <= SEEN_BEFORE) {
      if (this.counts.size >= MOST_COUNTED) this.counts.clear();
      this.counts.set(name, count);
      return count === 1 ? this.miss() : undefined;
    }
    for (let index = 0; index < keys.length; index++) {
      if (!isUsable(keys[index])) return this.miss();
    }
    this.counts.delete(name);
    const shape = { number: -1, keys, next: undefined, refusals: 0, isBeside: false };
    this.shapes.set(name, shape);
    return shape;
  }

  /** What to send of a message that was not taken. @param {any} message */
  takeInstead(message) {
    const { instead } = this;
    if (instead === undefined) return message;
    this.instead = undefined;
    return instead;
  }

  /** What tells the other end of a shape, which has its number then. @param {Shape} shape */
  define(shape) {
    shape.number = this.numbered++;
    let list = '';
    for (let index = 0; index < shape.keys.length; index++)
      list += `${index === 0 ? '[' : ','}${stringify(shape.keys[index])}`;
    return `${stringify(`${list}]`)},`;
  }

  /**
   * Writes a message.
   * @param {Shape} shape which the other end knows
   * @param {any} message
   * @param {any} bytes a Buffer
   * @param {number} place with room for `MOST` bytes
   * @param {boolean} isExact whether values must arrive that JSON changes
   * @returns {number} where it ends, or -1; `instead` is to be sent then
   */
  write(shape, message, bytes, place, isExact) {
    const { number, keys } = shape;
    // Elements of its own: what arrays inherit is not to be asked.
    const values = this.values ?? arrayFill(new Array(MOST_KEYS), undefined);
    this.values = undefined;
    const limit = place + MOST;
    const { uses } = this;
    let end = writeInteger(bytes, place, number);
    bytes[end++] = COMMA;
    let count = 0;
    /** @type {Uint8Array[] | undefined} */
    let views;
    for (const key in message) {
      // A getter may have changed what there is.
      if (key !== keys[count] || end + MOST_PER_VALUE > limit)
        return this.giveUp(shape, message, values, count);
      // Which would run before those are read.
      if (views !== undefined && isAccessor(message, key)) return this.giveUp(shape, message, values, count);
      const value = message[key];
      values[count++] = value;
      if (this.uses !== uses) return this.giveUp(shape, message, values, count);
      switch (typeof value) {
        case 'string': {
          const start = end;
          end = value.length > SHORT ? -1 : writeShort(bytes, start, value);
          if (end === -1) end = writeString(bytes, start, limit, value);
          break;
        }
        case 'number':
          end = isExact && !isExactAsJson(value) ? -1 : writeNumber(bytes, end, value);
          break;
        case 'boolean':
          end = writeWord(bytes, end, value ? 'true' : 'false');
          break;
        case 'object':
          if (value === null) end = writeWord(bytes, end, 'null');
          else if (shape.isBeside && isLargeView(value, (views ??= []))) {
            arrayPush(views, value);
            end = writeInteger(bytes, end, value.byteLength);
          } else {
            shape.isBeside = isExact && isUint8Array(value);
            end = -1;
          }
          break;
        default:
          end = -1;
      }
      if (end === -1) return this.giveUp(shape, message, values, count);
      bytes[end++] = COMMA;
    }
    if (count < keys.length) return this.giveUp(shape, message, values, count);
    if (views !== undefined) {
      if (end + views.length * MOST_PER_VIEW > limit) return this.giveUp(shape, message, values, count);
      for (let index = 0; index < count; index++) {
        const value = values[index];
        if (typeof value !== 'object' || value === null) continue;
        end = writeInteger(bytes, end, 2 * index + (getPrototypeOf(value) === Buffer.prototype ? 1 : 0));
        bytes[end++] = COMMA;
        // Not to be kept until there is a message with as many keys.
        values[index] = undefined;
      }
    }
    shape.isBeside = views !== undefined;
    this.views = views;
    this.values = values;
    this.misses = 0;
    return end;
  }

  /**
   * Leaves a copy of the message, so that each property is read once.
   * @param {Shape} shape
   * @param {any} message
   * @param {any[]} values
   * @param {number} count of them
   */
  giveUp(shape, message, values, count) {
    shape.refusals++;
    this.miss();
    if (count === 0) return -1;
    const instead = {};
    for (let index = 0; index < count; index++) {
      define(instead, shape.keys[index], values[index]);
    }
    const keys = keysOf(message);
    for (let index = 0; index < keys.length; index++) {
      if (!hasOwn(instead, keys[index])) define(instead, keys[index], message[keys[index]]);
    }
    this.instead = instead;
    return -1;
  }
}

/** @param {object} object @param {string} key @param {unknown} value */
function define(object, key, value) {
  defineProperty(object, key, { ...methodDescriptor(value), enumerable: true });
}

/** @param {any} message @param {string[]} keys */
function hasKeys(message, keys) {
  let count = 0;
  for (const key in message) {
    if (key !== keys[count]) return false;
    count++;
  }
  return count === keys.length;
}

/** @param {any} message @param {string} key */
function isAccessor(message, key) {
  const property = getOwnPropertyDescriptor(message, key);
  return property !== undefined && (property.get !== undefined || property.set !== undefined);
}

/** Whether a value goes beside its row; not a second time, since that arrives as the same. @param {any} value @param {Uint8Array[]} views */
function isLargeView(value, views) {
  if (isProxy(value) || !isUint8Array(value) || value.byteLength < LARGE) return false;
  const prototype = getPrototypeOf(value);
  return (
    (prototype === Buffer.prototype || prototype === Uint8Array.prototype) && !arrayIncludes(views, value)
  );
}

/** Whether a number arrives as it is: it is finite and not negative zero. @param {number} value */
function isExactAsJson(value) {
  return value - value === 0 && (value !== 0 || 1 / value > 0);
}

/** @param {any} bytes @param {number} place @param {string} word */
function writeWord(bytes, place, word) {
  for (let index = 0; index < word.length; index++) bytes[place + index] = stringCharCodeAt(word, index);
  return place + word.length;
}

/** Writes a string that needs no escaping; -1 where it does. @param {any} bytes @param {number} place @param {string} value */
function writeShort(bytes, place, value) {
  const { length } = value;
  bytes[place] = QUOTE;
  for (let index = 0; index < length;) {
    const unit = stringCharCodeAt(value, index);
    if (unit < 32 || unit > 126 || unit === QUOTE || unit === BACKSLASH) return -1;
    bytes[place + ++index] = unit;
  }
  bytes[place + length + 1] = QUOTE;
  return place + length + 2;
}

/** @param {any} bytes @param {number} place @param {number} limit @param {string} value */
function writeString(bytes, place, limit, value) {
  const room = limit - place - MOST_PER_VALUE;
  if (value.length * MOST_PER_UNIT > room) return -1;
  const text = stringify(value);
  return text.length * MOST_PER_UNIT > room ? -1 : place + bytes.utf8Write(text, place);
}

/** As JSON.stringify does. @param {any} bytes @param {number} place @param {number} value */
function writeNumber(bytes, place, value) {
  if ((value | 0) === value) return writeInteger(bytes, place, value | 0);
  return writeWord(bytes, place, value - value === 0 ? `${value}` : 'null');
}

/** @param {any} bytes @param {number} place @param {number} value of 32 bits */
function writeInteger(bytes, place, value) {
  let rest = value;
  if (rest < 0) {
    bytes[place++] = MINUS;
    rest = -rest;
  }
  let length = 1;
  for (let bound = 10; rest >= bound; bound *= 10) length++;
  const end = place + length;
  for (let at = end - 1; at >= place; at--) {
    const tenth = (rest / 10) | 0;
    bytes[at] = ZERO + rest - tenth * 10;
    rest = tenth;
  }
  return end;
}

module.exports = {
  AROUND,
  COMMA,
  FORMAT,
  MOST,
  MOST_KEYS,
  MOST_PER_UNIT,
  MOST_SHAPES,
  NEWLINE,
  RowWriter,
  asElement,
  isUsable,
};
