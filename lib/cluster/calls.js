'use strict';
// @ts-check

// What a worker calls in the engine for every connection.

const { engine } = require('../native');

/**
 * @typedef {object} Calls
 * @property {(count: number) => void} openCount tells the primary how many connections of this worker's servers are open
 * @property {() => void} accepted tells it that this worker has accepted one by itself
 */

/** @type {Calls} */
module.exports = /** @type {any} */ (engine.handoffFunctions());
