'use strict';
// @ts-check

// The queues that users may hand over as `taskQueue`, or build on. Without changes to them, the engine's own queue
// does their work.

const assert = require('node:assert');

/** First in, first out, in one array. */
class ArrayTaskQueue {
  /** @type {any[]} */
  tasks = [];

  get size() {
    return this.tasks.length;
  }

  shift() {
    return this.tasks.shift() ?? null;
  }

  /** @param {any} task */
  push(task) {
    this.tasks.push(task);
  }

  /** @param {any} task */
  unshift(task) {
    this.tasks.unshift(task);
  }

  /** @param {any} task */
  remove(task) {
    const index = this.tasks.indexOf(task);
    assert.notStrictEqual(index, -1);
    this.tasks.splice(index, 1);
  }
}

/** First in, first out, in time that does not grow with the length. */
class FixedQueue {
  /** In order of insertion, which is what a Map keeps. Keys fall below zero by `unshift`. @type {Map<number, any>} */
  #front = new Map();
  /** @type {Set<any>} */
  #tasks = new Set();

  get size() {
    return this.#front.size + this.#tasks.size;
  }

  isEmpty() {
    return this.size === 0;
  }

  /** @param {any} task */
  push(task) {
    this.#tasks.add(task);
  }

  /** @param {any} task */
  unshift(task) {
    this.#front.set(this.#front.size, task);
  }

  shift() {
    if (this.#front.size > 0) {
      const last = this.#front.size - 1;
      const task = this.#front.get(last);
      this.#front.delete(last);
      return task;
    }
    for (const task of this.#tasks) {
      this.#tasks.delete(task);
      return task;
    }
    return null;
  }

  /** @param {any} task */
  remove(task) {
    if (this.#tasks.delete(task)) return;
    const rest = [...this.#front.values()].filter((other) => other !== task);
    this.#front = new Map(rest.map((other, i) => [i, other]));
  }
}

/** Whether a value has what a task queue needs. @param {any} value */
function isTaskQueue(value) {
  return (
    typeof value === 'object' &&
    value !== null &&
    'size' in value &&
    typeof value.shift === 'function' &&
    typeof value.remove === 'function' &&
    typeof value.push === 'function'
  );
}

/** Whether a queue is one of ours, as it was made: so the engine's queue may stand in for it. @param {any} queue */
function isOrdinary(queue) {
  const prototype = Object.getPrototypeOf(queue);
  const ownKeys = Object.keys(queue).filter((key) => key !== 'tasks');
  return (
    (prototype === FixedQueue.prototype || prototype === ArrayTaskQueue.prototype) && ownKeys.length === 0
  );
}

module.exports = { ArrayTaskQueue, FixedQueue, isOrdinary, isTaskQueue };
