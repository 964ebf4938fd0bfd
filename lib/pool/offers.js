'use strict';
// @ts-check

// Memory set aside for big results: a thread that finds a place of the right size copies its result right into it.
// Results tend to have the size of the one before.

const { engine } = require('../native');
const { allocate, typeOfBig } = require('./bytes');
const { passed } = require('./freed_memory');

/** Places at a time, and their bytes in all. */
const MAX_PLACES = 8;
const MAX_BYTES = 32 * 1024 * 1024;

/** Milliseconds after which what nobody uses is given back. */
const IDLE_MS = 1000;

/** The size that places have; 0: there are none. */
let size = 0;
let wasUsed = false;
/** @type {NodeJS.Timeout | undefined} */
let timer;

/**
 * A result that has come some other way: the next one need not. Where values are transferred, results had better not be
 * copied into memory of this side's either: each side then uses again what the other has freed.
 * @param {any} result
 * @param {boolean} wasCopied what it is the result of
 */
function learn(result, wasCopied) {
  const length = typeOfBig(result) < 0 ? 0 : result.byteLength;
  passed(length);
  if (!wasCopied || length === 0 || length === size || length > MAX_BYTES) return;
  engine.poolWithdrawOffers();
  size = length;
  for (let i = 0; i < Math.min(MAX_PLACES, Math.floor(MAX_BYTES / size)); i++)
    engine.poolOffer(allocate(size));
  watch();
}

/**
 * A place has been used.
 * @param {number} length
 */
function replace(length) {
  passed(length);
  if (length === size) engine.poolOffer(allocate(length));
  wasUsed = true;
}

function watch() {
  wasUsed = false;
  timer ??= setInterval(() => {
    if (!wasUsed) {
      clearInterval(timer);
      timer = undefined;
      size = 0;
      engine.poolWithdrawOffers();
    }
    wasUsed = false;
  }, IDLE_MS).unref();
}

module.exports = { learn, replace };
