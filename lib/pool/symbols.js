'use strict';
// @ts-check

// The symbols users see, and what `move` makes of a value. The shared ones are Piscina's own, so that an object
// made for the one pool works with the other.

const { types } = require('node:util');

const state = require('./state');

const transferableSymbol = Symbol.for('Piscina.transferable');
const valueSymbol = Symbol.for('Piscina.valueOf');
const queueOptionsSymbol = Symbol.for('Piscina.queueOptions');
const kMovable = Symbol('rcluster.movable');

/** @param {any} value */
function isTransferable(value) {
  return value != null && typeof value === 'object' && transferableSymbol in value && valueSymbol in value;
}

/** Whether a value is to be transferred, not copied. @param {any} value */
function isMovable(value) {
  // Most values are no objects or have no such property: decided by one look.
  return value !== null && typeof value === 'object' && value[kMovable] === true && isTransferable(value);
}

class Moved {
  #value;
  #transferred;

  /** @param {any} value @param {any} transferred */
  constructor(value, transferred) {
    this.#value = value;
    this.#transferred = transferred;
  }

  get [transferableSymbol]() {
    return this.#transferred;
  }

  get [valueSymbol]() {
    return this.#value;
  }
}

/**
 * Marks a value so that, as a task or as a result, it is transferred.
 * @param {any} value
 */
function move(value) {
  if (value == null || typeof value !== 'object') return value;
  const moved = isTransferable(value)
    ? value
    : new Moved(value, types.isArrayBufferView(value) ? value.buffer : value);
  Object.defineProperty(moved, kMovable, { value: true, configurable: true, writable: true });
  return moved;
}

state.isMovable = isMovable;

module.exports = { isMovable, move, queueOptionsSymbol, transferableSymbol, valueSymbol };
