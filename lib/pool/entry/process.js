'use strict';
// @ts-check

// Runs in a process of a pool with `runtime: 'process'`: tasks come and results go as messages.

require = require('../../loader').within(module, require);
const state = require('../state');
const { loadHandler, lowerPriority, noHandler } = require('./handler');

/** @type {Map<string, Promise<Function>>} */
const handlers = new Map();

process.once('message', start);

/** @param {any} options */
async function start({ filename, name, workerData, niceIncrement }) {
  state.isWorkerThread = true;
  state.workerData = workerData;
  process.on('message', run);
  process.on('disconnect', () => process.exit());
  lowerPriority(niceIncrement);
  try {
    if (filename != null) await loadHandler(filename, name);
  } catch (error) {
    send({ failure: error });
    process.exitCode = 1;
    process.disconnect();
    return;
  }
  send({ ready: true });
}

/** @param {any} message */
async function run({ task, value, filename, name }) {
  if (task === undefined) return;
  try {
    const handler = await handlerOf(filename, name);
    const result = await handler(value);
    send({ task, result });
  } catch (error) {
    send({ task, error });
  }
}

/**
 * @param {string} filename
 * @param {string} name
 */
function handlerOf(filename, name) {
  const key = JSON.stringify([filename, name]);
  let handler = handlers.get(key);
  if (handler === undefined) {
    handler = loadHandler(filename, name).then((found) => {
      if (found === null) throw noHandler(filename);
      return found;
    });
    handlers.set(key, handler);
  }
  return handler;
}

/**
 * Marked, so that what user code sends by `process.send` is told apart.
 * @param {any} message
 */
function send(message) {
  process.send?.({ rclusterPool: message });
}
