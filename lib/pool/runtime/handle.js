'use strict';
// @ts-check

// What the owner of a pool knows of one thread, whether that is a thread or a process.

const { createHistogram } = require('node:perf_hooks');

class Handle {
  /** A Worker, or what looks like one. @type {any} */
  worker;
  /** Which the worker forgets when it ends. */
  threadId = 0;
  startedAt = Date.now();
  isReady = false;
  /** Whether it has said so itself. */
  hasJoined = false;
  isDestroyed = false;
  isLeaving = false;
  /** Tasks given to it by the scheduler in JavaScript. @type {Set<any>} */
  tasks = new Set();
  /** Tasks it has finished. */
  finished = 0;
  /** @type {NodeJS.Timeout | null} */
  idleTimer = null;
  /** Called when it has joined. @type {(() => void) | undefined} */
  onReady = undefined;

  /** @param {number} number its number in the pool @param {any} options the pool's */
  constructor(number, options) {
    this.number = number;
    this.histogram = options.workerHistogram ? createHistogram() : null;
  }

  /** Whether the scheduler in JavaScript has given it a task that must run alone. */
  get isRunningAbortable() {
    if (this.tasks.size !== 1) return false;
    const [task] = this.tasks;
    return task.isAbortable;
  }

  /** Tasks that the scheduler in JavaScript has given to it; Infinity: it may get no other beside. */
  get currentUsage() {
    return this.isRunningAbortable ? Infinity : this.tasks.size;
  }

  /** Ends it. @returns {number[]} the tasks it had begun, as far as the engine knows */
  destroy() {
    if (this.isDestroyed) return [];
    this.isDestroyed = true;
    this.clearIdleTimer();
    return this.end();
  }

  /** What each kind does to end. @returns {number[]} */
  end() {
    return [];
  }

  clearIdleTimer() {
    if (this.idleTimer !== null) clearTimeout(this.idleTimer);
    this.idleTimer = null;
  }
}

module.exports = { Handle };
