'use strict';
// @ts-check

// Times kept by the warden, which keeps them while this thread is busy. They do not hold the loop.

const { engine, kinds, on } = require('../native');

/** @type {Map<number, () => void>} */
const waiting = new Map();

on(kinds.SUPERVISE_DUE, (timer) => {
  const run = waiting.get(timer);
  waiting.delete(timer);
  run?.();
});

/**
 * Runs a function after so many milliseconds.
 * @param {number} milliseconds
 * @param {() => void} run
 * @returns {() => void} has it not run
 */
function after(milliseconds, run) {
  const timer = engine.superviseTimer(milliseconds);
  waiting.set(timer, run);
  return () => {
    if (waiting.delete(timer)) engine.superviseCancel(timer);
  };
}

module.exports = { after };
