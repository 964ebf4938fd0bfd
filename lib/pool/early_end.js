'use strict';
// @ts-check

// What ends a task before it is done: its signal, or its time.

const { AbortError, TimeoutError } = require('./errors');

/**
 * Calls `end` when a task is to end early; until then `task.cleanUp` stops that.
 * @param {InstanceType<typeof import('./task').Task>} task
 * @param {{ signal?: any, timeout?: number }} options
 * @param {(error: Error) => void} end
 */
function watch(task, { signal, timeout = 0 }, end) {
  task.isAbortable = true;
  /** @type {(() => void)[]} */
  const cleaners = [];
  if (signal != null) cleaners.push(onAbort(signal, () => end(new AbortError(signal.reason))));
  if (timeout > 0 && timeout !== Infinity) {
    const timer = setTimeout(() => end(new TimeoutError(timeout)), timeout);
    cleaners.push(() => clearTimeout(timer));
  }
  task.cleanUp = () => cleaners.forEach((clean) => clean());
}

/**
 * Calls back when a signal, of either shape, fires; returns how to stop that.
 * @param {any} signal
 * @param {() => void} listener
 */
function onAbort(signal, listener) {
  if ('addEventListener' in signal) {
    signal.addEventListener('abort', listener, { once: true });
    return () => signal.removeEventListener('abort', listener);
  }
  signal.once('abort', listener);
  return () => signal.removeListener('abort', listener);
}

module.exports = { watch };
