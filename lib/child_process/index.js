'use strict';
// @ts-check

// Node's child_process over the native engine: what `require('rcluster/child_process')` gives.

const nodeChildProcess = require('node:child_process');

const { watch } = require('./inherited');
const { functions, ownClass, state } = require('./install');
const { defineProperty } = require('../untampered');

// Has run already where it is of use, in a child before any module is loaded.
const { _forkChild } = /** @type {any} */ (nodeChildProcess);

const { exec, execFile, execFileSync, execSync, fork, spawn, spawnSync } = functions;

/** @type {any} */
const visible = {
  _forkChild,
  ChildProcess: null,
  exec,
  execFile,
  execFileSync,
  execSync,
  fork,
  spawn,
  spawnSync,
};

/** @param {any} value */
function setClass(value) {
  defineProperty(visible, 'ChildProcess', { value, writable: true, enumerable: true, configurable: true });
  return value;
}

// The class is loaded by who asks for it, or by the first child.
defineProperty(visible, 'ChildProcess', {
  get: () => setClass(ownClass()),
  set: setClass,
  enumerable: true,
  configurable: true,
});

module.exports = visible;

// People patch the execFile that exec calls on the module they see.
if (!state.isRegistered) state.visible = visible;
watch();
