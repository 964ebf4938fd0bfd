'use strict';
// @ts-check

// Values as bytes, with the result that the structured clone algorithm has. JSON is several times faster than V8's
// serializer, so a value that JSON cannot change goes as JSON; what V8's serializer clones as `postMessage` does
// goes through that; all else goes through a MessagePort, which is right by definition.

const { Buffer } = require('node:buffer');
const { types } = require('node:util');

const { BIG_BUFFER, copyOfBig, typeOfBig } = require('./bytes');
const { toColumns } = require('./columns');
const { CLONE, COLUMNS, EMPTY, JSON_TEXT, PORT, TEXT } = require('./protocol');

/** From which length a string goes by itself: escaping it, and looking for its end, costs more than a call. */
const LONG_TEXT = 256;

/** Nesting beyond which no proof is tried: a circle, most likely. */
const MAX_DEPTH = 200;

const objectPrototype = Object.prototype;
const arrayPrototype = Array.prototype;
const { getPrototypeOf, keys } = Object;
const { isArray } = Array;
const { isProxy } = types;

/** @type {any[]} */
const anArray = [];

/** How far a value is from JSON, in the order in which the worst decides. */
const AS_JSON = 0;
const AS_CLONE = 1;
const AS_MESSAGE = 2;

/** Objects met in the walk under way. @type {object[]} */
let met = [];

/** What `encode` has made. @type {{ payload: any }} */
const encoded = { payload: undefined };

/**
 * Encodes a value: returns the kind, and leaves the payload in `encoded.payload`: bytes for CLONE,
 * none for EMPTY and PORT, else a string. For PORT the caller posts the value.
 * @param {any} value
 * @returns {number}
 */
function encode(value) {
  encoded.payload = undefined;
  switch (typeof value) {
    case 'undefined':
      return EMPTY;
    case 'string':
      if (value.length >= LONG_TEXT) {
        encoded.payload = value;
        return TEXT;
      }
      encoded.payload = JSON.stringify(value);
      return JSON_TEXT;
    case 'boolean':
      encoded.payload = value ? 'true' : 'false';
      return JSON_TEXT;
    case 'number':
      if (!isJsonNumber(value)) return encodeClone(value);
      encoded.payload = `${value}`;
      return JSON_TEXT;
    case 'bigint':
      return encodeClone(value);
    case 'object':
      if (value !== null) break;
      encoded.payload = 'null';
      return JSON_TEXT;
    default:
      return PORT;
  }
  if (isPolluted()) return PORT;
  if (isArray(value) && getPrototypeOf(value) === arrayPrototype && !isProxy(value)) {
    encoded.payload = toColumns(value);
    if (encoded.payload !== undefined) return COLUMNS;
  }
  switch (classify(value)) {
    case AS_JSON:
      encoded.payload = JSON.stringify(value);
      return JSON_TEXT;
    case AS_CLONE:
      return encodeClone(value);
    default:
      return PORT;
  }
}

/**
 * 1 where a string needs two bytes a character, as far as can be told cheaply, else 0.
 * @param {string} text
 */
function isWide(text) {
  return Buffer.byteLength(text) === text.length ? 0 : 1;
}

/** @param {any} value */
function encodeClone(value) {
  try {
    const serializer = new (require('node:v8').Serializer)();
    serializer.writeHeader();
    serializer.writeValue(value);
    encoded.payload = serializer.releaseBuffer();
    return CLONE;
  } catch {
    // A message fails with the right error.
    return PORT;
  }
}

/** @param {Uint8Array} bytes */
function decodeClone(bytes) {
  const deserializer = new (require('node:v8').Deserializer)(bytes);
  deserializer.readHeader();
  return deserializer.readValue();
}

/** Neither NaN nor infinite nor negative zero. @param {number} value */
function isJsonNumber(value) {
  return value === 0 ? 1 / value > 0 : value - value === 0;
}

/** Whether JSON.stringify would call something. */
function isPolluted() {
  // What an array inherits, objects do or arrays do; looked up where V8 remembers that there is none.
  return /** @type {any} */ (anArray).toJSON !== undefined;
}

/** @param {any} value */
function classify(value) {
  let level = walk(value, 0);
  // The same object twice is one object after a clone, but two after JSON.
  if (met.length > 1) {
    if (level === AS_JSON && !areDistinct()) level = AS_CLONE;
    met = [];
  } else {
    // At most one. Setting the length is a call into V8's runtime.
    met.pop();
  }
  return level;
}

function areDistinct() {
  return new Set(met).size === met.length;
}

/**
 * @param {any} value
 * @param {number} depth
 * @returns {number}
 */
function walk(value, depth) {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return AS_JSON;
    case 'number':
      return isJsonNumber(value) ? AS_JSON : AS_CLONE;
    case 'object':
      return value === null ? AS_JSON : walkObject(value, depth);
    case 'undefined':
    case 'bigint':
      return AS_CLONE;
    default:
      return AS_MESSAGE;
  }
}

/**
 * @param {any} object
 * @param {number} depth
 * @returns {number}
 */
function walkObject(object, depth) {
  if (depth > MAX_DEPTH || isProxy(object)) return AS_MESSAGE;
  // Shared parts of shared parts would be walked again and again.
  const count = met.push(object);
  if ((count & (count - 1)) === 0 && count >= 1024 && !areDistinct()) return AS_MESSAGE;
  const prototype = getPrototypeOf(object);
  if (prototype === arrayPrototype) return walkArray(object, depth + 1);
  if (prototype === objectPrototype) return walkProperties(object, depth + 1);
  if (prototype === null) {
    return types.isModuleNamespaceObject(object) ? AS_MESSAGE : walkProperties(object, depth + 1);
  }
  return classifyOther(object, depth + 1);
}

/** @param {any} object @param {number} depth */
function walkProperties(object, depth) {
  let level = AS_JSON;
  // Inherited ones do not count, but there are none unless somebody has extended Object.prototype.
  for (const key in object) {
    const found = walk(object[key], depth);
    if (found > level) {
      if (found === AS_MESSAGE) return AS_MESSAGE;
      level = found;
    }
  }
  return level;
}

/** @param {any[]} array @param {number} depth */
function walkArray(array, depth) {
  const { length } = array;
  let level = AS_JSON;
  for (let i = 0; i < length; i++) {
    const found = walk(array[i], depth);
    if (found > level) {
      if (found === AS_MESSAGE) return AS_MESSAGE;
      level = found;
    }
  }
  // Holes were found as undefined; properties that are no elements show here.
  return keys(array).length === length || level !== AS_JSON ? level : AS_MESSAGE;
}

/**
 * What is neither array nor plain object. An extended array, a class, what a host gave: a message.
 * @param {any} object
 * @param {number} depth
 */
function classifyOther(object, depth) {
  if (types.isDate(object) || types.isRegExp(object)) return AS_CLONE;
  if (types.isMap(object)) return walkEntries(object, depth);
  if (types.isSet(object)) return walkEntries(object, depth);
  if (types.isNativeError(object)) return Object.hasOwn(object, 'cause') ? AS_MESSAGE : AS_CLONE;
  const buffer = ArrayBuffer.isView(object) ? object.buffer : object;
  if (types.isArrayBuffer(buffer)) return isSmall(buffer) ? AS_CLONE : AS_MESSAGE;
  return AS_MESSAGE;
}

/** @param {any} buffer */
function isSmall(buffer) {
  return buffer.byteLength < BIG_BUFFER && !buffer.resizable && !buffer.detached;
}

/** @param {Map<any, any> | Set<any>} collection @param {number} depth */
function walkEntries(collection, depth) {
  // Through the prototype's own iterators: those of the object may be anybody's.
  for (const [key, value] of collection instanceof Map
    ? Map.prototype.entries.call(collection)
    : Set.prototype.entries.call(collection)) {
    if (walk(key, depth) === AS_MESSAGE || walk(value, depth) === AS_MESSAGE) return AS_MESSAGE;
  }
  return AS_CLONE;
}

/**
 * Posts a message in which a value goes through a port. A big buffer is copied here, once, and the copy transferred:
 * cloned, it would be copied on either side.
 * @param {import('node:worker_threads').MessagePort} port
 * @param {any} id
 * @param {any} value
 * @param {readonly any[]} transferList
 * @param {boolean} [isEarly] whether it may turn out not to be wanted
 */
function post(port, id, value, transferList, isEarly = false) {
  if (transferList.length === 0) {
    const type = typeOfBig(value);
    if (type >= 0) {
      const copy = copyOfBig(value, type);
      port.postMessage([id, copy, isEarly], [copy.buffer ?? copy]);
      return;
    }
  }
  port.postMessage([id, value, isEarly], transferList);
}

module.exports = { decodeClone, encode, encoded, isWide, post };
