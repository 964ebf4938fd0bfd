'use strict';
// @ts-check

// The threads of one pool: how many there are, what they say of themselves, how each ends.

const completions = require('./completions');
const { LEFT, PREFETCH, READY, WANT, WANT_BYTES, WORN } = require('./protocol');
const { ThreadHandle } = require('./runtime/thread_handle');

class Threads {
  /** By number. @type {Map<number, any>} */
  handles = new Map();
  readyCount = 0;
  /** A thread failed before it took tasks: others would as well. */
  failsAtStart = false;
  counters = { threadsStarted: 0, threadsCrashed: 0, threadsRecycled: 0 };

  #pool;
  #emit;
  #isStartingUp = false;

  /** @param {any} pool @param {(name: string, value: any) => void} emit to the pool's user */
  constructor(pool, emit) {
    this.#pool = pool;
    this.#emit = emit;
  }

  /** How many tasks the threads that are still starting will have room for. */
  get pendingCapacity() {
    return (this.handles.size - this.readyCount) * this.#pool.limit;
  }

  *ready() {
    for (const handle of this.handles.values()) if (handle.isReady && !handle.isLeaving) yield handle;
  }

  /** Makes those that a new pool has. */
  start() {
    this.#isStartingUp = true;
    this.ensureMinimum();
    this.#isStartingUp = false;
  }

  ensureMinimum() {
    if (this.#pool.end.isUnderWay) return;
    while (this.handles.size < this.#pool.options.minThreads) this.#add();
  }

  /** Adds a thread if there may be more. */
  grow() {
    if (this.handles.size >= this.#pool.options.maxThreads || this.#pool.end.isClosing) return false;
    this.#add();
    return true;
  }

  #add() {
    const pool = this.#pool;
    const Handle =
      pool.options.runtime === 'process' ? require('./runtime/process_handle').ProcessHandle : ThreadHandle;
    /** @type {any} */
    const handle = new Handle(pool);
    this.counters.threadsStarted++;
    completions.pools.set(pool.id, pool);
    this.handles.set(handle.number, handle);
    const { worker } = handle;
    worker.on('message', (/** @type {any} */ message) => this.#emit('message', message));
    worker.on('error', (/** @type {any} */ error) => this.#onEnd(handle, { error }));
    worker.on('exit', (/** @type {any} */ exitCode, /** @type {any} */ signal) =>
      this.#onEnd(handle, { exitCode, signal }),
    );
    // After the listeners: one for messages makes a Worker keep the process alive.
    worker.unref();
    if (this.#isStartingUp) {
      // Counts from the start: what is submitted now waits for no others.
      this.#markReady(handle);
      queueMicrotask(() => {
        this.#emit('workerCreate', pool.interfaceOf(handle));
        pool.scheduler.advance();
      });
    }
    return handle;
  }

  /** @param {any} handle */
  #markReady(handle) {
    handle.isReady = true;
    this.readyCount++;
  }

  /**
   * Takes a thread out and ends it. Returns the tasks that it had begun, or was given for itself.
   * @param {any} handle
   * @returns {any[]}
   */
  #remove(handle) {
    if (handle.isDestroyed) return [];
    // What it has handed back is done.
    completions.readCompletions();
    const lost = this.#pool.scheduler.lose(handle, handle.destroy());
    if (handle.isReady) this.readyCount--;
    this.handles.delete(handle.number);
    if (this.handles.size === 0) completions.pools.delete(this.#pool.id);
    this.#emit('workerDestroy', this.#pool.interfaceOf(handle));
    return lost;
  }

  /**
   * Ends a thread whose tasks nobody waits for, or whose tasks may not go on.
   * @param {any} handle
   */
  terminate(handle) {
    this.#pool.rejectTerminated(this.#remove(handle));
  }

  /**
   * A thread has ended by itself, or is about to.
   * @param {any} handle
   * @param {{ error?: any, exitCode?: any, signal?: any }} end
   */
  #onEnd(handle, end) {
    if (handle.isDestroyed) return;
    this.counters.threadsCrashed++;
    const wasReady = handle.isReady;
    const { threadId } = handle;
    const lost = this.#remove(handle);
    if (!handle.hasJoined) {
      // It would have run these.
      if (wasReady && 'error' in end)
        lost.push(...this.#pool.scheduler.withdraw(this.#pool.limit - lost.length));
      this.failsAtStart = true;
    } else if (wasReady && !this.failsAtStart) {
      this.ensureMinimum();
    }
    this.#pool.onThreadEnd(lost, { ...end, threadId });
  }

  /**
   * What a thread says about itself, or asks for.
   * @param {number} kind
   * @param {any} handle
   * @param {number} taskId
   */
  onNews(kind, handle, taskId) {
    switch (kind) {
      case READY:
        this.#onReady(handle);
        break;
      case WANT:
      case PREFETCH:
      case WANT_BYTES: {
        const task = completions.tasks.get(taskId);
        try {
          handle.answer(kind, taskId, task);
        } catch (error) {
          if (task) this.#pool.fail(task, error);
        }
        break;
      }
      case LEFT:
        this.terminate(handle);
        break;
      case WORN:
        this.#recycle(handle);
        break;
    }
  }

  /** @param {any} handle */
  #onReady(handle) {
    handle.hasJoined = true;
    if (!handle.isReady) {
      this.#markReady(handle);
      this.#emit('workerCreate', this.#pool.interfaceOf(handle));
      this.#pool.scheduler.advance();
    }
    handle.onReady?.();
    this.#pool.onThreadReady();
    this.#watchIdle(handle);
  }

  /** Looks for threads beyond the minimum that have nothing to do. */
  watchIdle() {
    if (this.handles.size <= this.#pool.options.minThreads) return;
    for (const handle of this.handles.values()) this.#watchIdle(handle);
  }

  /**
   * Removes a thread beyond the minimum when it has had nothing to do for long enough.
   * @param {any} handle
   */
  #watchIdle(handle) {
    const { scheduler } = this.#pool;
    const { idleTimeout, minThreads } = this.#pool.options;
    if (idleTimeout === Infinity || handle.idleTimer !== null || this.handles.size <= minThreads) return;
    if (!handle.isReady || !handle.hasJoined || scheduler.usageOf(handle) !== 0) return;
    const { finished } = handle;
    handle.idleTimer = setTimeout(() => {
      handle.idleTimer = null;
      if (this.handles.size <= minThreads) return;
      if (handle.finished !== finished) this.#watchIdle(handle);
      else if (scheduler.usageOf(handle) === 0 && handle.retire()) this.terminate(handle);
    }, idleTimeout).unref();
  }

  /**
   * Replaces a thread: the new one first.
   * @param {any} handle
   */
  #recycle(handle) {
    if (handle.isLeaving || handle.isDestroyed || this.#pool.end.isUnderWay) return;
    handle.isLeaving = true;
    this.counters.threadsRecycled++;
    /** @type {any} */
    const replacement = this.#add();
    replacement.onReady = () => {
      replacement.onReady = undefined;
      if (!handle.isDestroyed) handle.leave();
    };
  }

  /**
   * A thread has finished a task.
   * @param {any} handle
   */
  checkWear(handle) {
    const { recycle } = this.#pool.options;
    if (recycle === undefined || handle.isLeaving) return;
    const isOld = Date.now() - handle.startedAt >= (recycle.age ?? Infinity);
    if (isOld || handle.finished >= (recycle.tasks ?? Infinity)) this.#recycle(handle);
  }
}

module.exports = { Threads };
