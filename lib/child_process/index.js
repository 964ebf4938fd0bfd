'use strict';
// @ts-check

// Node's child_process over the native engine: what `require('rcluster/child_process')` gives.

const nodeChildProcess = require('node:child_process');

const { ChildProcess } = require('./child');
const { takeOver } = require('./inherited');
const { functions, state } = require('../start');
// Whoever asks for this module means to use it.
require('./exec');
require('./sync');

// Has run already where it is of use, in a child before any module is loaded.
const { _forkChild } = /** @type {any} */ (nodeChildProcess);

const { exec, execFile, execFileSync, execSync, fork, spawn, spawnSync } = functions;

module.exports = { _forkChild, ChildProcess, exec, execFile, execFileSync, execSync, fork, spawn, spawnSync };

// People patch the execFile that exec calls on the module they see.
if (!state.isRegistered) state.visible = module.exports;
takeOver();
