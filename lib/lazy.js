'use strict';
// @ts-check

// Functions that are there from the start, while the module that holds what they do is loaded by the first call.

const platform = require('./platform');
const { apply, bareDescriptor, closeSync, defineProperty, keys, openReserve } = require('./untampered');

let reserve = openReserve();
let isLoading = false;

/**
 * A function of this name and length, which is `load()[name]`.
 * @param {() => any} load
 * @param {string} name
 * @param {number} length
 * @param {string} [shownName]
 * @returns {any}
 */
function lazyFunction(load, name, length, shownName = name) {
  const { [shownName]: lazy } = {
    /** @this {any} @param {any[]} args */
    [shownName]: function (...args) {
      return apply(load()[name], this, args);
    },
  };
  return length === 0 ? lazy : defineProperty(lazy, 'length', bareDescriptor({ value: length }));
}

/**
 * Functions by name.
 * @param {() => any} load
 * @param {Record<string, number>} lengths
 * @returns {Record<string, any>}
 */
function lazyFunctions(load, lengths) {
  /** @type {Record<string, any>} */
  const functions = {};
  for (const name of keys(lengths)) functions[name] = lazyFunction(load, name, lengths[name]);
  return functions;
}

/**
 * What loads a module once, also where there is no descriptor left for its file.
 * @template T
 * @param {() => T} load
 * @returns {() => T}
 */
function later(load) {
  /** @type {T | undefined} */
  let loaded;
  return () => {
    if (loaded !== undefined) return loaded;
    // One that loads another has given the descriptor up for both.
    if (isLoading) return (loaded = load());
    isLoading = true;
    if (reserve !== undefined) closeSync(reserve);
    try {
      return (loaded = load());
    } finally {
      reserve = openReserve();
      isLoading = false;
    }
  };
}

/**
 * What loads a module of ours, or another where the engine turns out not to run.
 * @param {() => any} load
 * @param {() => any} loadOther
 */
function either(load, loadOther) {
  return later(() => (platform.native ? load() : loadOther()));
}

module.exports = { either, later, lazyFunction, lazyFunctions };
