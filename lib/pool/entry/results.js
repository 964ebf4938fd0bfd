'use strict';
// @ts-check

// In a thread of the pool: hands results back, each in the encoding that suits it.

const { engine } = require('../../native');
const calls = require('../calls');
const { encode, encoded, isWide, post } = require('../codec');
const { BYTES, CLONE, EMPTY, PORT, THROWN, TYPE_SHIFT, UNCLONEABLE } = require('../protocol');
const state = require('../state');

/** @type {any[]} */
const NOTHING = [];

/**
 * @param {import('node:worker_threads').MessagePort} port for what no encoding holds
 * @param {number} slot
 * @param {number} id
 * @param {boolean} isThrown
 * @param {any} result
 * @param {number} time how long it ran, in microseconds; negative: not to be counted
 */
function handBack(port, slot, id, isThrown, result, time) {
  try {
    hand(port, slot, id, isThrown ? THROWN : 0, result, time);
  } catch (error) {
    // A DOMException, which in most lines of Node cannot be cloned either.
    const { message, name, stack } = /** @type {Error} */ (error);
    hand(port, slot, id, THROWN | UNCLONEABLE, { message, name, stack }, time);
  }
}

/**
 * @param {import('node:worker_threads').MessagePort} port
 * @param {number} slot
 * @param {number} id
 * @param {number} flags
 * @param {any} result
 * @param {number} time
 */
function hand(port, slot, id, flags, result, time) {
  if (flags === 0 && state.isMovable(result)) {
    const { transferableSymbol, valueSymbol } = require('../symbols');
    post(port, id, result[valueSymbol], [].concat(result[transferableSymbol]));
    calls.done(slot, id, PORT, time);
    return;
  }
  encoded.payload = undefined;
  const kind = encode(result);
  const { payload } = encoded;
  switch (kind) {
    case EMPTY:
      calls.done(slot, id, flags | EMPTY, time);
      break;
    case CLONE:
      engine.poolDoneBytes(slot, id, flags | CLONE, payload, time);
      break;
    case PORT:
      if (isLanded(slot, id, flags, result, time)) break;
      post(port, id, result, NOTHING);
      calls.done(slot, id, flags | PORT, time);
      break;
    default:
      calls.done(slot, id, flags | kind, time, payload, payload.length, isWide(payload));
  }
}

/**
 * Copies a big buffer into memory that the pool's owner has set aside. False where that is not possible.
 * @param {number} slot
 * @param {number} id
 * @param {number} flags
 * @param {any} result
 * @param {number} time
 */
function isLanded(slot, id, flags, result, time) {
  const { bytesOf, typeOfBig } = require('../bytes');
  const type = typeOfBig(result);
  return (
    type >= 0 && engine.poolDoneBig(slot, id, flags | BYTES | (type << TYPE_SHIFT), bytesOf(result), time)
  );
}

module.exports = { handBack };
