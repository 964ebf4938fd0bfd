'use strict';
// @ts-check

// `spawn` and `fork`: checked options, a child, and what may end it early.

const { addAbortListener } = require('node:events');
const { debuglog } = require('node:util');

const { AbortError, codedError, validateAbortSignal } = require('../errors');
const { ChildProcess, isWatched } = require('./child');
const {
  normalizeForkArguments,
  normalizeSpawnArguments,
  validateTimeout,
  validatedKillSignal,
} = require('./options');
const { stdioStringToArray } = require('./stdio');
const { arrayIncludes } = require('../untampered');

const debug = debuglog('child_process');

/**
 * Node's child_process.spawn.
 * @param {any} file
 * @param {any} args
 * @param {any} options
 */
function spawn(file, args, options) {
  options = normalizeSpawnArguments(file, args, options, isWatched(ChildProcess.prototype));
  const { signal, timeout } = options;
  validateTimeout(timeout);
  validateAbortSignal(signal, 'options.signal');
  const killSignal = validatedKillSignal(options.killSignal);

  const child = new /** @type {any} */ (ChildProcess)();
  if (debug.enabled) debug('spawn', options);
  const errno = child.spawn(options);

  // Where the spawn failed there is nothing to end early, and no 'exit' after which to stop waiting for it.
  if (timeout > 0 && errno === 0) killAfterTimeout(child, timeout, killSignal);
  if (signal && errno === 0) killOnAbort(child, signal, killSignal);
  return child;
}

/** Once the child has ended; an exec that fails late gives 'close' but no 'exit'. @param {any} child @param {() => void} run */
function whenOver(child, run) {
  child.once('exit', run);
  child.once('close', run);
}

/** @param {any} child @param {number} timeout @param {number | undefined} killSignal */
function killAfterTimeout(child, timeout, killSignal) {
  const timer = setTimeout(() => {
    try {
      child.kill(killSignal);
    } catch (error) {
      child.emit('error', error);
    }
  }, timeout);
  whenOver(child, () => clearTimeout(timer));
}

/** @param {any} child @param {AbortSignal} signal @param {number | undefined} killSignal */
function killOnAbort(child, signal, killSignal) {
  function onAbort() {
    try {
      if (child.kill(killSignal)) child.emit('error', new AbortError(undefined, { cause: signal.reason }));
    } catch (error) {
      child.emit('error', error);
    }
  }
  if (signal.aborted) {
    process.nextTick(onAbort);
    return;
  }
  const listener = addAbortListener(signal, onAbort);
  whenOver(child, () => listener[Symbol.dispose]());
}

/**
 * Node's child_process.fork.
 * @param {any} modulePath
 * @param {any} [args]
 * @param {any} [options]
 */
function fork(modulePath, args = [], options) {
  ({ args, options } = normalizeForkArguments(modulePath, args, options));
  if (typeof options.stdio === 'string') {
    options.stdio = stdioStringToArray(options.stdio, 'ipc');
  } else if (!Array.isArray(options.stdio)) {
    options.stdio = stdioStringToArray(options.silent ? 'pipe' : 'inherit', 'ipc');
  } else if (!arrayIncludes(options.stdio, 'ipc')) {
    throw codedError('ERR_CHILD_PROCESS_IPC_REQUIRED', 'options.stdio');
  }
  return spawn(options.execPath, args, options);
}

module.exports = { fork, spawn };
