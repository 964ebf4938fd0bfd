'use strict';
// @ts-check

// Node's child_process over the native engine: what `require('rcluster/child_process')` gives.

const nodeChildProcess = require('node:child_process');

const { ChildProcess } = require('./child');
const { exec, execFile, exposeThrough } = require('./exec');
const { takeOver } = require('./inherited');
const { fork, spawn } = require('./spawn');
const { execFileSync, execSync, spawnSync } = require('./sync');

// Has run already where it is of use, in a child before any module is loaded.
const { _forkChild } = /** @type {any} */ (nodeChildProcess);

module.exports = { _forkChild, ChildProcess, exec, execFile, execFileSync, execSync, fork, spawn, spawnSync };

exposeThrough(module.exports);
takeOver();
