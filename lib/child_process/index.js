'use strict';
// @ts-check

// Node's child_process over the native engine: what `require('rcluster/child_process')` gives.

const nodeChildProcess = require('node:child_process');

const { ChildProcess } = require('./child');
const { exec, execFile, exposeThrough } = require('./exec');
const { fork, spawn } = require('./spawn');
const { execFileSync, execSync, spawnSync } = require('./sync');

// Runs in a child, on the channel it was born with: Node's own there.
const { _forkChild } = /** @type {any} */ (nodeChildProcess);

module.exports = { _forkChild, ChildProcess, exec, execFile, execFileSync, execSync, fork, spawn, spawnSync };

exposeThrough(module.exports);
