'use strict';
// @ts-check

// Loads the binding and installs the one sink through which native events reach JavaScript.

const bindingFile = require('./binding_file');

bindingFile.path ??= findBinding();
/** @type {typeof import('../binding.js')} */
const binding = require(bindingFile.path);

function findBinding() {
  const { file, native, unsupported } = require('./platform');
  if (!native) throw unsupported('This');
  return /** @type {string} */ (file);
}

/** What a native event is about; the same numbers as `Kind` in src/binding/mod.rs. */
const kinds = {
  CHILD_STARTED: 0,
  CHILD_NOT_STARTED: 1,
  CHILD_EXITED: 2,
  CHANNEL_INPUT: 3,
  CHANNEL_WRITTEN: 4,
  CHANNEL_ENDED: 5,
  CLUSTER_CONNECTION: 6,
  CLUSTER_ACCEPT_FAILED: 7,
  HANDOFF_CONNECTION: 8,
  POOL_COMPLETIONS: 9,
  POOL_TASKS: 10,
  CHANNEL_MORE: 11,
  HANDOFF_PEER: 12,
  HANDOFF_LISTED: 13,
  HANDOFF_HEAP: 14,
  SUPERVISE_DUE: 15,
  SUPERVISE_KILLED: 16,
  SUPERVISE_HUNG: 17,
  SUPERVISE_OVER: 18,
  SUPERVISE_SCALE: 19,
  HANDOFF_FAILED: 20,
};

/** @type {Array<(id: number, a: number, b: number) => void>} */
const handlers = [];

const engine = new binding.Engine((kind, id, a, b) => handlers[kind](id, a, b));

/**
 * Handles the native events of one kind.
 * @param {number} kind one of `kinds`
 * @param {(id: number, a: number, b: number) => void} handler
 */
function on(kind, handler) {
  handlers[kind] = handler;
}

module.exports = { binding, engine, kinds, on };
