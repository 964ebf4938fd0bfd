'use strict';
// @ts-check

// Says, once a tick, that all threads of a pool are busy, or no longer are.

class Drain {
  needsDrain = false;

  #pool;
  #emit;
  #isScheduled = false;
  /** Tasks have waited since `drain` was last said: who waits for that may wait though not all threads were busy. */
  #hasQueued = false;

  /** @param {any} pool @param {(name: string) => void} emit to the pool's user */
  constructor(pool, emit) {
    this.#pool = pool;
    this.#emit = emit;
  }

  schedule() {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    queueMicrotask(() => {
      this.#isScheduled = false;
      this.#say();
    });
  }

  #say() {
    const { capacity, queueSize, scheduler } = this.#pool;
    const { inFlight, usage } = scheduler;
    if (queueSize > 0) this.#hasQueued = true;
    if (usage === capacity) {
      this.needsDrain = true;
      this.#emit('needsDrain');
    } else if (usage < capacity && (this.needsDrain || (this.#hasQueued && inFlight === 0))) {
      this.needsDrain = false;
      this.#hasQueued = false;
      this.#emit('drain');
    }
  }
}

module.exports = { Drain };
