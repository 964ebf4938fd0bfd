'use strict';
// @ts-check

// `rcluster/pool`: Piscina's class over the engine's queue.

const { EventEmitterAsyncResource } = require('node:events');
const { performance } = require('node:perf_hooks');

const { version } = require('../../package.json');
const { engine } = require('../native');
const { percentiles, summaryOfFigures } = require('./histogram');
const { copyOf, taskOptionsError, validateOptions } = require('./options');
const { ArrayTaskQueue, FixedQueue } = require('./queues');
const state = require('./state');
const { move, queueOptionsSymbol, transferableSymbol, valueSymbol } = require('./symbols');
const { ThreadPool } = require('./thread_pool');

const NO_OPTIONS = Object.freeze(Object.create(null));

class Pool extends EventEmitterAsyncResource {
  /** @type {InstanceType<typeof ThreadPool>} */
  #pool;
  /** @type {any} */
  #histogram = null;

  /** @param {any} [options] */
  constructor(options = {}) {
    const given = copyOf(options);
    super(copyOf(given, { name: 'Piscina' }));
    validateOptions(given);
    this.#pool = new ThreadPool(this, given);
  }

  /**
   * Runs a task in one of the threads.
   * @param {any} task
   * @param {any} [options]
   * @returns {Promise<any>}
   */
  run(task, options = NO_OPTIONS) {
    if (options === null || typeof options !== 'object') {
      return Promise.reject(new TypeError('options must be an object'));
    }
    if (options !== NO_OPTIONS) {
      options = copyOf(options);
      const error = taskOptionsError(options);
      if (error !== undefined) return Promise.reject(new TypeError(error));
    }
    return this.#pool.run(task, options);
  }

  /**
   * Runs a task for each value, a bounded number at a time; the results are in the order of the values.
   * @param {Iterable<any> | AsyncIterable<any>} iterable
   * @param {any} [options] those of `run`, and `concurrency`
   * @returns {Promise<any[]>}
   */
  async map(iterable, { concurrency = this.#pool.capacity * 2, ...options } = {}) {
    if (!(concurrency >= 1)) throw new TypeError('concurrency argument must be a positive integer');
    const iterator =
      /** @type {any} */ (iterable)?.[Symbol.asyncIterator]?.() ??
      /** @type {any} */ (iterable)?.[Symbol.iterator]?.();
    if (iterator === undefined) throw new TypeError('iterable argument must be iterable');
    /** @type {any[]} */
    const results = [];
    let index = 0;
    let isOver = false;
    const runner = async () => {
      while (!isOver) {
        const at = index++;
        // One after the other: an iterator need not bear more.
        const item = await (next = next.then(() => (isOver ? { done: true } : iterator.next())));
        if (item.done) {
          isOver = true;
          return;
        }
        results[at] = await this.run(item.value, options);
      }
    };
    /** @type {Promise<any>} */
    let next = Promise.resolve();
    const runners = [];
    for (let i = 0; i < Math.min(concurrency, 4096); i++) runners.push(runner());
    try {
      await Promise.all(runners);
    } catch (error) {
      isOver = true;
      await iterator.return?.();
      throw error;
    }
    return results;
  }

  /**
   * Runs a task once on every thread there is.
   * @param {any} task
   * @param {any} [options] `filename` and `name`
   * @returns {Promise<any[]>}
   */
  broadcast(task, options = NO_OPTIONS) {
    const error = taskOptionsError(options);
    return error === undefined ? this.#pool.broadcast(task, options) : Promise.reject(new TypeError(error));
  }

  /** Waits for all tasks, or with `force` for those that have begun, then ends all threads. */
  async close(options = NO_OPTIONS) {
    if (options === null || typeof options !== 'object') throw new TypeError('options must be an object');
    const { force = false } = copyOf(options);
    if (typeof force !== 'boolean') throw new TypeError('force argument must be a boolean');
    return await this.#pool.end.close(force);
  }

  /** Ends all threads; tasks that have not finished are rejected. */
  destroy() {
    return this.#pool.end.destroy();
  }

  [Symbol.dispose ?? Symbol.for('Symbol.dispose')]() {
    this.close();
  }

  [Symbol.asyncDispose ?? Symbol.for('Symbol.asyncDispose')]() {
    return this.close();
  }

  get maxThreads() {
    return this.#pool.options.maxThreads;
  }

  get minThreads() {
    return this.#pool.options.minThreads;
  }

  get options() {
    return this.#pool.options;
  }

  /** The workers. */
  get threads() {
    return [...this.#pool.threads.handles.values()].map(({ worker }) => worker);
  }

  get idleThreads() {
    return this.#pool.scheduler.idleThreads;
  }

  get queueSize() {
    return this.#pool.queueSize;
  }

  get completed() {
    return this.#pool.completed;
  }

  get duration() {
    return performance.now() - this.#pool.startedAt;
  }

  get needsDrain() {
    return this.#pool.needsDrain;
  }

  /** Figures since the pool was made. */
  get metrics() {
    return this.#pool.metrics();
  }

  /** How long tasks ran and waited, in milliseconds. */
  get histogram() {
    const pool = this.#pool;
    /**
     * @param {boolean} ofWaiting
     */
    const figures = (ofWaiting) =>
      pool.options.recordTiming
        ? summaryOfFigures(engine.poolHistogram(pool.id, ofWaiting, percentiles))
        : undefined;
    this.#histogram ??= {
      get runTime() {
        return figures(false);
      },
      get waitTime() {
        return figures(true);
      },
      resetRunTime: () => engine.poolResetHistogram(pool.id, false),
      resetWaitTime: () => engine.poolResetHistogram(pool.id, true),
    };
    return this.#histogram;
  }

  get runTime() {
    return this.histogram.runTime;
  }

  get waitTime() {
    return this.histogram.waitTime;
  }

  /** The share of the time that all threads could have worked in which they did. */
  get utilization() {
    const pool = this.#pool;
    if (!pool.options.recordTiming) return 0;
    const [count, mean] = engine.poolHistogram(pool.id, false, []);
    if (count === 0) return 0;
    return ((mean / 1000) * count) / (this.duration * pool.options.maxThreads);
  }

  static get isWorkerThread() {
    return state.isWorkerThread;
  }

  static get workerData() {
    return state.workerData;
  }

  static get version() {
    return version;
  }

  static get Piscina() {
    return Pool;
  }

  static get Pool() {
    return Pool;
  }

  static get default() {
    return Pool;
  }

  static get FixedQueue() {
    return FixedQueue;
  }

  static get ArrayTaskQueue() {
    return ArrayTaskQueue;
  }

  static get transferableSymbol() {
    return transferableSymbol;
  }

  static get valueSymbol() {
    return valueSymbol;
  }

  static get queueOptionsSymbol() {
    return queueOptionsSymbol;
  }

  /** @param {any} value */
  static move(value) {
    return move(value);
  }
}

module.exports = Pool;
