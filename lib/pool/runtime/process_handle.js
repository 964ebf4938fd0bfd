'use strict';
// @ts-check

// The owner's view of one process of a pool with `runtime: 'process'`: our own fork and its message channel. To the
// pool it looks like a thread; `worker` has what the pool uses of a Worker.

const { EventEmitter } = require('node:events');
const path = require('node:path');

const { fork } = require('../../child_process/install').functions;
const { LEFT, READY } = require('../protocol');
const { Handle } = require('./handle');

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

class ProcessHandle extends Handle {
  #pool;
  /** Whether another has taken its place. */
  #mayLeave = false;

  /** @param {any} pool */
  constructor(pool) {
    const { options } = pool;
    super(++lastNumber, options);
    this.#pool = pool;
    const child = fork(ENTRY, options.argv ?? [], {
      env: typeof options.env === 'object' ? options.env : process.env,
      execArgv: options.execArgv,
      serialization: 'advanced',
    });
    this.worker = new ProcessWorker(child);
    this.threadId = /** @type {number} */ (child.pid);
    child.send({
      filename: options.filename,
      name: options.name,
      workerData: options.workerData,
      niceIncrement: options.niceIncrement,
    });
    child.on('message', (/** @type {any} */ message) => this.#onMessage(message));
  }

  /**
   * @param {any} message
   */
  #onMessage(message) {
    const news = message?.rclusterPool;
    if (news === undefined) {
      this.worker.emit('message', message);
    } else if (news.ready) {
      this.#pool.onNews(READY, this.number, 0);
    } else if ('failure' in news) {
      this.worker.emit('error', news.failure);
    } else {
      const isError = 'error' in news;
      this.#pool.complete(news.task, this.number, isError, isError ? news.error : news.result);
      if (this.tasks.size === 0) this.#afterLast();
    }
  }

  /** Nothing to do: it does not keep this process alive, and ends if it is to leave. */
  #afterLast() {
    if (this.isDestroyed) return;
    this.worker.unref();
    if (this.#mayLeave) this.#pool.onNews(LEFT, this.number, 0);
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
    this.#mayLeave = true;
    if (this.tasks.size === 0) this.#afterLast();
  }

  end() {
    this.worker.terminate();
    return [];
  }
}

module.exports = { ProcessHandle };
