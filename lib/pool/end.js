'use strict';
// @ts-check

// The end of a pool: at once, or when its tasks have ended. It may take tasks again afterwards.

const { once } = require('node:events');
const { setTimeout: sleep } = require('node:timers/promises');

const { AbortError, Errors } = require('./errors');

class End {
  isClosing = false;
  isDestroying = false;

  #pool;
  #emit;
  /** Called when no task is left. @type {(() => void)[]} */
  #whenEmpty = [];

  /** @param {any} pool @param {(name: string, value?: any) => void} emit to the pool's user */
  constructor(pool, emit) {
    this.#pool = pool;
    this.#emit = emit;
  }

  get isUnderWay() {
    return this.isClosing || this.isDestroying;
  }

  /** Some tasks have ended. */
  look() {
    if (this.#whenEmpty.length === 0 || this.#pool.scheduler.inFlight > 0) return;
    for (const callback of this.#whenEmpty.splice(0)) callback();
  }

  async destroy() {
    this.isDestroying = true;
    const pool = this.#pool;
    pool.dropWaiting(Errors.threadTermination);
    const exits = [];
    for (const handle of Array.from(pool.threads.handles.values())) {
      exits.push(once(handle.worker, 'exit'));
      // Until it has: or the process could end in between, and `destroy` never.
      handle.worker.ref();
      pool.threads.terminate(handle);
    }
    pool.dropWaiting(Errors.threadTermination);
    pool.afterCompletions();
    await Promise.allSettled(exits);
    this.isDestroying = false;
  }

  /** @param {boolean} force drop what waits */
  async close(force) {
    this.isClosing = true;
    const pool = this.#pool;
    if (force) pool.dropWaiting(() => new AbortError('pool is closed'), true);
    if (pool.scheduler.inFlight > 0 && !(await this.#emptied(pool.options.closeTimeout)))
      this.#emit('error', Errors.closeTimeout());
    await this.destroy();
    this.#emit('close');
    this.isClosing = false;
  }

  /** Waits until no task is left; false: not within the time. @param {number} milliseconds */
  async #emptied(milliseconds) {
    const stopped = new AbortController();
    const late = sleep(milliseconds, false, { ref: false, signal: stopped.signal }).catch(() => false);
    const empty = new Promise((resolve) => {
      this.#whenEmpty.push(() => resolve(true));
    });
    const isEmpty = await Promise.race([late, empty]);
    stopped.abort();
    return isEmpty;
  }
}

module.exports = { End };
