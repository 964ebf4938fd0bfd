'use strict';
// @ts-check

// One call of `run`, from the call to its end.

const { AsyncResource } = require('node:async_hooks');

const { isMovable, queueOptionsSymbol, transferableSymbol, valueSymbol } = require('./symbols');

/** @type {readonly any[]} */
const NOTHING = Object.freeze([]);

let lastId = 0;

/** Makes what async_hooks show of a task, and keeps its context. */
class Task extends AsyncResource {
  /**
   * @param {any} pool
   * @param {any} value
   * @param {{ filename: string, name: string, handler: number }} target
   * @param {{ transferList?: any, priority: number }} options
   * @param {(result: any) => void} resolve
   * @param {(error: any) => void} reject
   */
  constructor(pool, value, { filename, name, handler }, { transferList, priority }, resolve, reject) {
    super('Piscina.Task', { requireManualDestroy: true, triggerAsyncId: pool.asyncId });
    this.taskId = lastId = (lastId + 1) & 0x3fffffff;
    this.pool = pool;
    this.value = value;
    /** @type {readonly any[]} */
    this.transferList = transferList ?? NOTHING;
    if (isMovable(value)) {
      this.transferList = this.transferList.concat(value[transferableSymbol]);
      this.value = value[valueSymbol];
    }
    this.filename = filename;
    this.name = name;
    this.handler = handler;
    this.priority = priority;
    this.resolve = resolve;
    this.reject = reject;
    /** Whether ending it early ends its thread. */
    this.isAbortable = false;
    this.isAborted = false;
    /** @type {(() => void) | null} */
    this.cleanUp = null;
    // For the scheduler in JavaScript.
    this.created = 0;
    this.started = 0;
    /** @type {any} */
    this.worker = null;
  }

  /** Lets go of the value, which nobody needs any more. */
  release() {
    const { value } = this;
    this.value = undefined;
    return value;
  }

  /** Settles it, in the context in which it was run. @param {boolean} isError @param {any} result */
  settle(isError, result) {
    this.cleanUp?.();
    this.runInAsyncScope(isError ? this.reject : this.resolve, null, result);
    this.emitDestroy();
  }

  /** The value, by the name that task queues know. */
  get task() {
    return this.value;
  }

  get [queueOptionsSymbol]() {
    return this.value?.[queueOptionsSymbol] ?? null;
  }

  /** What a load balancer sees. */
  get interface() {
    return {
      taskId: this.taskId,
      filename: this.filename,
      name: this.name,
      created: this.created,
      isAbortable: this.isAbortable,
      [queueOptionsSymbol]: this[queueOptionsSymbol],
    };
  }
}

module.exports = { Task };
