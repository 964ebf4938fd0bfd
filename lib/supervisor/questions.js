'use strict';
// @ts-check

// Questions to single workers, which code in them answers.

const { after } = require('./timers');

const DEFAULT_TIMEOUT = 2000;

/** @typedef {{ run: any, resolve: (value: any) => void, reject: (error: Error) => void, cancel: () => void }} Waiting */

class Questions {
  constructor() {
    /** @type {Map<number, Waiting>} */
    this.waiting = new Map();
    this.last = 0;
  }

  /**
   * @param {InstanceType<typeof import('./run').Run>} run
   * @param {string} question
   * @param {any} payload
   * @param {{ timeout?: number }} [options]
   */
  ask(run, question, payload, { timeout = DEFAULT_TIMEOUT } = {}) {
    return new Promise((resolve, reject) => {
      const number = ++this.last;
      const fail = (/** @type {string} */ why, /** @type {string} */ code) => {
        this.waiting.delete(number);
        reject(Object.assign(new Error(`worker ${run.place} ${why}`), { code }));
      };
      const cancel = after(timeout, () =>
        fail(`has not answered within ${timeout} ms`, 'ERR_RCLUSTER_REQUEST_TIMEOUT'),
      );
      this.waiting.set(number, { run, resolve, reject, cancel });
      if (!run.send({ act: 'ask', number, question, payload })) {
        cancel();
        fail('is not connected', 'ERR_RCLUSTER_NO_WORKER');
      }
    });
  }

  /** @param {any} run @param {any} message */
  answered(run, { number, result, error }) {
    const waiting = this.waiting.get(number);
    if (waiting === undefined || waiting.run !== run) return;
    this.waiting.delete(number);
    waiting.cancel();
    if (error === undefined) waiting.resolve(result);
    else waiting.reject(Object.assign(new Error(error.message), error));
  }

  /** A worker has ended: it will not answer. @param {any} run */
  left(run) {
    for (const [number, waiting] of this.waiting) {
      if (run !== undefined && waiting.run !== run) continue;
      this.waiting.delete(number);
      waiting.cancel();
      waiting.reject(
        Object.assign(new Error(`worker ${waiting.run.place} has ended`), { code: 'ERR_RCLUSTER_NO_WORKER' }),
      );
    }
  }

  close() {
    this.left(undefined);
  }
}

module.exports = { Questions };
