'use strict';
// @ts-check

// Tasks go into the engine's queue, from which threads help themselves. A task that a thread has room for goes down at once,
// as who has submitted it may block this thread until it has run; the others of one tick go down in one call.

const { engine } = require('../../native');
const { typeOfBig } = require('../bytes');
const calls = require('../calls');
const { encode, encoded, isWide } = require('../codec');
const completions = require('../completions');
const {
  BYTES,
  CLONE,
  COLUMNS,
  ENCODING,
  EXCLUSIVE,
  JSON_TEXT,
  PORT,
  REPEATABLE,
  TEXT,
  TYPE_SHIFT,
} = require('../protocol');

/** Numbers of a task. As in src/binding/pool/submit.rs. */
const FIELDS = 5;

/** Tasks, and characters, that go down in one call at most. */
const MAX_TASKS = 512;
const MAX_TEXT = 1024 * 1024;

class EngineScheduler {
  /** Tasks given to `submit` and neither completed nor withdrawn. */
  inFlight = 0;
  /** Those of them that may be ended early. */
  #abortable = 0;

  #pool;
  #fields = new Int32Array(MAX_TASKS * FIELDS);
  #count = 0;
  #text = '';
  #isScheduled = false;
  #flushTick = () => {
    this.#isScheduled = false;
    this.flush();
  };

  /** @param {any} pool */
  constructor(pool) {
    this.#pool = pool;
  }

  /** Tasks that no thread has room for. */
  get queued() {
    return Math.max(0, this.#abortable - this.#pool.threads.readyCount) + Math.max(0, -this.#room);
  }

  /** Places taken in threads that are ready. */
  get usage() {
    return Math.min(this.inFlight, this.#pool.threads.readyCount * this.#pool.limit);
  }

  /** Places that abortable tasks, each with a thread for itself, leave the others, less what those take. */
  get #room() {
    const threads = Math.max(0, this.#pool.threads.readyCount - this.#abortable);
    return threads * this.#pool.limit - (this.inFlight - this.#abortable);
  }

  /**
   * Whether a task has to wait; asked before it is submitted.
   * @param {boolean} isAbortable
   */
  isFullFor(isAbortable) {
    return this.#room < (isAbortable ? this.#pool.limit : 1);
  }

  /** @param {InstanceType<typeof import('../task').Task>} task */
  add(task) {
    this.inFlight++;
    if (task.isAbortable) this.#abortable++;
    completions.add(task);
  }

  /** @param {InstanceType<typeof import('../task').Task>} task */
  submit(task) {
    const isAwaited = !this.isFullFor(task.isAbortable);
    this.add(task);
    const kind = task.transferList.length > 0 ? PORT : encode(task.value);
    if (kind === PORT) this.#submitMessage(task);
    else this.#enqueue(task, kind);
    if (isAwaited) this.flush();
  }

  /**
   * A value that goes by message goes at once if a thread is idle; else the thread asks for it in its turn.
   * @param {any} task
   */
  #submitMessage(task) {
    this.flush();
    const thread = this.#pool.threads.handles.get(engine.poolFreeThread(this.#pool.id, this.#pool.limit));
    if (!thread?.isReady) {
      const type = task.transferList.length > 0 ? -1 : typeOfBig(task.value);
      this.#enqueue(task, type < 0 ? PORT : BYTES | (type << TYPE_SHIFT));
      return;
    }
    try {
      thread.give(task);
    } catch (error) {
      this.#pool.fail(task, error);
    }
  }

  /**
   * @param {any} task
   * @param {number} kind
   */
  #enqueue(task, kind) {
    const { payload } = encoded;
    const isPromised = (kind & ENCODING) === BYTES;
    let length = 0;
    if (kind === JSON_TEXT) {
      this.#text += payload;
      ({ length } = payload);
    } else if (kind === TEXT || kind === COLUMNS) {
      calls.put(this.#pool.id, payload, payload.length, isWide(payload));
      length = 1;
    } else if (kind === CLONE) {
      engine.poolPutBytes(this.#pool.id, payload);
      length = 1;
    } else if (isPromised) {
      length = task.value.byteLength;
    }
    // Other encodings hold the value by now.
    if (kind !== PORT && !isPromised) task.release();
    const at = this.#count++ * FIELDS;
    this.#fields[at] = task.taskId;
    this.#fields[at + 1] = task.handler;
    if (kind === PORT && task.transferList.length === 0) kind |= REPEATABLE;
    this.#fields[at + 2] = task.isAbortable ? kind | EXCLUSIVE : kind;
    this.#fields[at + 3] = length;
    this.#fields[at + 4] = task.priority;
    if (this.#count === MAX_TASKS || this.#text.length > MAX_TEXT) {
      this.flush();
    } else if (!this.#isScheduled) {
      this.#isScheduled = true;
      // After all microtasks there are: whatever is run in the same tick goes along.
      process.nextTick(this.#flushTick);
    }
  }

  /** Submits what has been collected. */
  flush() {
    if (this.#count === 0) return;
    const count = this.#count;
    const text = this.#text;
    this.#count = 0;
    this.#text = '';
    calls.submit(this.#pool.id, count, this.#fields, -1, text, text.length, isWide(text));
  }

  /** A task is done. @param {InstanceType<typeof import('../task').Task>} task */
  completed(task) {
    this.inFlight--;
    if (task.isAbortable) this.#abortable--;
  }

  /** Nothing to do: threads help themselves. */
  advance() {}

  /**
   * Takes a task out. Returns the thread that has begun it, if one has.
   * @param {InstanceType<typeof import('../task').Task>} task
   */
  cancel(task) {
    this.flush();
    if (!completions.tasks.has(task.taskId)) return undefined;
    const thread = engine.poolCancel(this.#pool.id, task.taskId);
    completions.remove(task);
    this.completed(task);
    return this.#pool.threads.handles.get(thread);
  }

  /** Places of threads, starting ones among them, that tasks in the queue will have. */
  get #places() {
    let places = 0;
    for (const handle of this.#pool.threads.ready()) places += this.#pool.limit - handle.engineUsage;
    return Math.min(Math.max(0, places), 0xffffffff);
  }

  /** Threads without a task, when those in the queue have been taken. */
  get idleThreads() {
    let idle = 0;
    let taken = 0;
    for (const { engineUsage } of this.#pool.threads.ready()) {
      taken += engineUsage;
      if (engineUsage === 0) idle++;
    }
    return Math.max(0, idle - Math.max(0, this.inFlight - taken));
  }

  /**
   * Takes out up to `count` tasks that no thread has taken.
   * @param {number} count
   * @param {boolean} [leavesPlaced] leave those for which threads have room
   */
  withdraw(count, leavesPlaced = false) {
    this.flush();
    const taken = [];
    const kept = leavesPlaced ? this.#places : 0;
    for (const id of engine.poolWithdraw(this.#pool.id, kept, Math.min(count, 0xffffffff))) {
      const task = completions.tasks.get(id);
      if (task === undefined) continue;
      completions.remove(task);
      this.completed(task);
      taken.push(task);
    }
    return taken;
  }

  /**
   * Tasks that ended with their thread. @param {number[]} ids
   * @param {any} _handle
   */
  lose(_handle, ids) {
    const lost = [];
    for (const id of ids) {
      const task = completions.tasks.get(id);
      if (task === undefined) continue;
      completions.remove(task);
      this.completed(task);
      lost.push(task);
    }
    return lost;
  }

  /**
   * @param {any} handle
   */
  usageOf(handle) {
    return handle.engineUsage;
  }
}

module.exports = { EngineScheduler };
