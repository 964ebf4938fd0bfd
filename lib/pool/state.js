'use strict';
// @ts-check

// Whether this environment is a thread of a pool; set by the entry before any user code runs.

module.exports = {
  isWorkerThread: false,
  workerData: /** @type {any} */ (undefined),
  /** Whether a value is to be transferred, not copied: none is before `move` is loaded. @param {any} _value */
  isMovable: (_value) => false,
};
