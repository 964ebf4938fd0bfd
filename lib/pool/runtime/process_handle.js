'use strict';
// @ts-check

// The owner's view of one process of a pool with `runtime: 'process'`: our own fork and its message channel. To the
// pool it looks like a thread; `worker` has what the pool uses of a Worker.

const { EventEmitter } = require('node:events');
const path = require('node:path');
const { createHistogram } = require('node:perf_hooks');

const { fork } = require('../../child_process');
const completions = require('../completions');
const { READY } = require('../protocol');

const ENTRY = path.join(__dirname, '..', 'entry', 'process.js');

let lastNumber = 0;

/** A ChildProcess with the surface of a Worker. */
class ProcessWorker extends EventEmitter {
  /** @param {import('node:child_process').ChildProcess} child */
  constructor(child) {
    super();
    this.process = child;
    child.on('exit', (code, signal) => this.emit('exit', code, signal));
    child.on('error', (error) => this.emit('error', error));
  }

  get threadId() {
    return this.process.pid;
  }

  /** @param {any} message */
  postMessage(message) {
    this.process.send(message);
  }

  terminate() {
    this.process.kill('SIGKILL');
  }

  ref() {
    this.process.ref();
    this.process.channel?.ref();
  }

  unref() {
    this.process.unref();
    this.process.channel?.unref();
  }
}

class ProcessHandle {
  /** @param {any} options the pool's */
  constructor(options) {
    this.number = ++lastNumber;
    const child = fork(ENTRY, options.argv ?? [], {
      env: typeof options.env === 'object' ? options.env : process.env,
      execArgv: options.execArgv,
      serialization: 'advanced',
    });
    this.worker = new ProcessWorker(child);
    this.threadId = child.pid;
    child.send({
      filename: options.filename,
      name: options.name,
      workerData: options.workerData,
      niceIncrement: options.niceIncrement,
    });
    child.on('message', (/** @type {any} */ message) => this.#onMessage(message));
    this.startedAt = Date.now();
    this.isReady = false;
    this.hasJoined = false;
    this.isDestroyed = false;
    this.isLeaving = false;
    /** @type {Set<InstanceType<typeof import('../task').Task>>} */
    this.tasks = new Set();
    this.finished = 0;
    /** @type {NodeJS.Timeout | null} */
    this.idleTimer = null;
    this.histogram = options.workerHistogram ? createHistogram() : null;
    /** Set by the pool. @type {(kind: number, task: number) => void} */
    this.onNews = () => {};
    /** Set by the pool. @type {(task: any, isError: boolean, result: any) => void} */
    this.onCompletion = () => {};
    /** @type {(() => void) | undefined} */
    this.onReady = undefined;
  }

  /**
   * @param {any} message
   */
  #onMessage(message) {
    const news = message?.rclusterPool;
    if (news === undefined) {
      this.worker.emit('message', message);
    } else if (news.ready) {
      this.onNews(READY, 0);
    } else if ('failure' in news) {
      this.worker.emit('error', news.failure);
    } else {
      const task = completions.tasks.get(news.task);
      if (task !== undefined)
        this.onCompletion(task, 'error' in news, 'error' in news ? news.error : news.result);
      if (this.tasks.size === 0) this.#afterLast();
    }
  }

  /** Nothing to do: it does not keep this process alive, and ends if it is to leave. */
  #afterLast() {
    if (this.isDestroyed) return;
    this.worker.unref();
    if (this.isLeaving && this.mayLeave) this.onNews(-1, 0);
  }

  /** @param {InstanceType<typeof import('../task').Task>} task */
  give(task) {
    if (task.transferList.length > 0) {
      throw new TypeError("transferList cannot be used with runtime: 'process'");
    }
    const { taskId, filename, name } = task;
    this.worker.ref();
    this.worker.process.send({ task: taskId, value: task.release(), filename, name });
  }

  retire() {
    return this.tasks.size === 0;
  }

  leave() {
    this.mayLeave = true;
    if (this.tasks.size === 0) this.#afterLast();
  }

  /** Ends it. */
  destroy() {
    if (this.isDestroyed) return [];
    this.isDestroyed = true;
    this.clearIdleTimer();
    this.worker.terminate();
    return [];
  }

  clearIdleTimer() {
    if (this.idleTimer !== null) clearTimeout(this.idleTimer);
    this.idleTimer = null;
  }
}

module.exports = { ProcessHandle };
