'use strict';
// @ts-check

// Tasks wait here, in the user's queue, until the balancer names a thread: one task at a time to each place. For a
// `taskQueue` or `loadBalancer` of the user's, and for processes.

const { performance } = require('node:perf_hooks');

const completions = require('../completions');
const { kHandle } = require('./view');

class BalancedScheduler {
  #pool;
  #queue;
  /** Tasks that could not be placed though others could: abortable ones. @type {any[]} */
  #skipped = [];
  #balancer;
  #isStrict;

  /** @param {any} pool */
  constructor(pool) {
    const { loadBalancer, stricterFIFO, taskQueue } = pool.options;
    this.#pool = pool;
    this.#queue = taskQueue;
    this.#balancer = loadBalancer ?? leastBusy(pool.limit);
    this.#isStrict = stricterFIFO;
  }

  get queued() {
    return this.#queue.size + this.#skipped.length;
  }

  get usage() {
    let usage = 0;
    for (const { currentUsage } of this.#pool.threads.ready()) {
      if (Number.isFinite(currentUsage)) usage += currentUsage;
    }
    return usage;
  }

  get inFlight() {
    let count = this.queued;
    for (const handle of this.#pool.threads.handles.values()) count += handle.tasks.size;
    return count;
  }

  get idleThreads() {
    return [...this.#pool.threads.ready()].filter((handle) => handle.currentUsage === 0).length;
  }

  /** Whether a task has to wait; asked before it is submitted. */
  isFullFor() {
    return (
      this.#queue.size > 0 ||
      [...this.#pool.threads.ready()].every((one) => one.currentUsage >= this.#pool.limit)
    );
  }

  /**
   * @param {any} task
   */
  submit(task) {
    task.created = performance.now();
    // From now on: what waits keeps the process alive as well.
    completions.add(task);
    if (this.#queue.size > 0) this.#queue.push(task);
    else this.#place(task, this.#interfaces());
  }

  flush() {}

  /** @param {InstanceType<typeof import('../task').Task>} task */
  completed(task) {
    task.worker?.tasks.delete(task);
  }

  /** Gives out what waits, as far as the balancer finds room. */
  advance() {
    const workers = this.#interfaces();
    while (this.queued > 0) {
      const task = this.#skipped.shift() ?? this.#queue.shift();
      if (this.#place(task, workers)) continue;
      if (!this.#pool.threads.grow()) break;
    }
  }

  #interfaces() {
    return [...this.#pool.threads.ready()].map((handle) => this.#pool.interfaceOf(handle));
  }

  /**
   * @param {any} task
   * @param {any} workers
   */
  #place(task, workers) {
    if (task.isAborted) return true;
    const handle = this.#balancer(task.interface, workers)?.[kHandle];
    if (handle === undefined) {
      this.#return(task);
      return false;
    }
    task.started = performance.now();
    this.#pool.recordWait(task.started - task.created);
    task.worker = handle;
    handle.tasks.add(task);
    try {
      handle.give(task);
      handle.clearIdleTimer();
    } catch (error) {
      handle.tasks.delete(task);
      this.#pool.fail(task, error);
    }
    return true;
  }

  /**
   * Behind the others, unless the order is to be strict.
   * @param {any} task
   */
  #return(task) {
    const isFirst = this.#isStrict;
    if (task.isAbortable) {
      if (isFirst) this.#skipped.unshift(task);
      else this.#skipped.push(task);
    } else if (isFirst && this.#queue.unshift !== undefined) {
      this.#queue.unshift(task);
    } else {
      this.#queue.push(task);
    }
  }

  /**
   * @param {any} task
   */
  cancel(task) {
    completions.remove(task);
    task.isAborted = true;
    if (task.worker !== null) {
      task.worker.tasks.delete(task);
      return task.worker;
    }
    const index = this.#skipped.indexOf(task);
    if (index >= 0) this.#skipped.splice(index, 1);
    else this.#queue.remove(task);
    return undefined;
  }

  /**
   * @param {number} count
   */
  withdraw(count) {
    const taken = [];
    while (taken.length < count && this.queued > 0) taken.push(this.#skipped.shift() ?? this.#queue.shift());
    taken.forEach((task) => completions.remove(task));
    return taken;
  }

  /**
   * @param {any} handle
   * @param {any} _ids
   */
  lose(handle, _ids) {
    const lost = [...handle.tasks];
    handle.tasks.clear();
    for (const task of lost) completions.remove(task);
    return lost;
  }

  /**
   * @param {any} handle
   */
  usageOf(handle) {
    return handle.currentUsage;
  }
}

/**
 * The idle one, else the one with the fewest tasks; an abortable task wants a thread of its own.
 * @param {number} limit
 */
function leastBusy(limit) {
  /**
   * @param {any} task
   * @param {any} workers
   */
  return (task, workers) => {
    let candidate = null;
    let least = limit;
    for (const worker of workers) {
      if (worker.currentUsage === 0) return worker;
      if (worker.isRunningAbortableTask || task.isAbortable || worker.currentUsage >= least) continue;
      candidate = worker;
      least = worker.currentUsage;
    }
    return candidate;
  };
}

module.exports = { BalancedScheduler };
