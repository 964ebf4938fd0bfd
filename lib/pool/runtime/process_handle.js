'use strict';
// @ts-check

// The owner's view of one process of a pool with `runtime: 'process'`: our own fork and its message channel.

const path = require('node:path');
const { createHistogram } = require('node:perf_hooks');

const { fork } = require('../../child_process');
const { READY } = require('../protocol');

const ENTRY = path.join(__dirname, '..', 'entry', 'process.js');

let lastNumber = 0;

class ProcessHandle {
  /** @param {any} options the pool's */
  constructor(options) {
    this.number = ++lastNumber;
    this.worker = fork(ENTRY, options.argv ?? [], {
      env: options.env,
      execArgv: options.execArgv,
      serialization: 'advanced',
    });
    this.worker.send({
      filename: options.filename,
      name: options.name,
      workerData: options.workerData,
      niceIncrement: options.niceIncrement,
    });
    this.worker.on('internalTask', () => {});
    this.startedAt = Date.now();
    this.isReady = false;
    this.isDestroyed = false;
    this.isLeaving = false;
    this.tasks = new Set();
    this.finished = 0;
    this.idleTimer = null;
    this.histogram = options.workerHistogram ? createHistogram() : null;
  }
}

module.exports = { ProcessHandle, READY };
