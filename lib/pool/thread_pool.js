'use strict';
// @ts-check

// The tasks of one pool: whether each may come in, and what becomes of it.

const { performance } = require('node:perf_hooks');

const { engine } = require('../native');
const completions = require('./completions');
const { Drain } = require('./drain');
const { watch } = require('./early_end');
const { End } = require('./end');
const { AbortError, Errors, TimeoutError, withThread } = require('./errors');
const { copyOf, fillOptions, pathOf } = require('./options');
const { isOrdinary } = require('./queues');
const { BalancedScheduler } = require('./runtime/balanced_scheduler');
const { EngineScheduler } = require('./runtime/engine_scheduler');
const { viewOf } = require('./runtime/view');
const { Task } = require('./task');
const { Threads } = require('./threads');

/** Pools that are garbage have no threads any more, but a number in the engine. */
const forgotten = new FinalizationRegistry((id) => engine.poolClose(id));

class ThreadPool {
  completed = 0;
  startedAt = performance.now();

  #emit;
  #drain;
  /** @type {Map<string, number>} */
  #handlers = new Map();
  /** What tasks before have named last: most name the same. @type {{ filename: string, name: string, handler: number }} */
  #target;
  #counters = { failed: 0, aborted: 0, timedOut: 0 };

  /** @param {import('node:events').EventEmitterAsyncResource} owner @param {any} given */
  constructor(owner, given) {
    this.asyncId = owner.asyncResource.asyncId();
    this.options = fillOptions(given);
    this.limit = this.options.concurrentTasksPerWorker;
    this.capacity = this.options.maxThreads * this.limit;
    this.id = engine.poolOpen();
    forgotten.register(owner, this.id);
    this.#target = this.#newTarget(this.options.name, this.options.filename);
    const isOurs =
      this.options.runtime === 'thread' && given.loadBalancer == null && isOrdinary(this.options.taskQueue);
    /** Whether tasks are timed here, and not where they run. */
    this.timesHere = this.options.recordTiming && !isOurs;
    this.#emit = (/** @type {string} */ name, /** @type {any[]} */ ...values) => owner.emit(name, ...values);
    this.threads = new Threads(this, this.#emit);
    this.end = new End(this, this.#emit);
    this.#drain = new Drain(this, this.#emit);
    this.scheduler = isOurs ? new EngineScheduler(this) : new BalancedScheduler(this);
    this.threads.start();
  }

  get needsDrain() {
    return this.#drain.needsDrain;
  }

  get queueSize() {
    return Math.max(0, this.scheduler.queued - this.threads.pendingCapacity);
  }

  // --- Tasks come in ---

  /** @param {any} value @param {any} options validated */
  run(value, options) {
    const target = this.#targetOf(options);
    if (target instanceof Error) return Promise.reject(target);
    const { priority, signal, timeout, transferList } = options;
    if (signal?.aborted) return Promise.reject(new AbortError(signal.reason));
    const isAbortable = signal != null || timeout > 0;
    const refusal = this.#makeRoom(isAbortable);
    if (refusal !== undefined) return Promise.reject(refusal);
    return new Promise((resolve, reject) => {
      const task = new Task(this, value, target, { priority: priority ?? 0, transferList }, resolve, reject);
      if (isAbortable) watch(task, options, (error) => this.#abort(task, error));
      this.scheduler.submit(task);
      this.#drain.schedule();
    });
  }

  /**
   * Runs a task on every thread.
   * @param {any} value
   * @param {any} options
   */
  broadcast(value, options) {
    const target = this.#targetOf(options);
    if (target instanceof Error) return Promise.reject(target);
    this.scheduler.flush();
    const handles = [...this.threads.handles.values()];
    return Promise.all(
      handles.map(
        (handle) =>
          new Promise((resolve, reject) => {
            const task = new Task(this, value, target, { priority: 0 }, resolve, reject);
            task.worker = handle;
            task.started = performance.now();
            handle.tasks.add(task);
            if (this.scheduler instanceof EngineScheduler) this.scheduler.add(task);
            else completions.add(task);
            try {
              handle.give(task);
            } catch (error) {
              this.fail(task, error);
            }
          }),
      ),
    );
  }

  /**
   * What is to run a task, or why none may come in.
   * @param {any} options
   */
  #targetOf(options) {
    const filename = options.filename ?? this.options.filename;
    const name = options.name ?? this.options.name;
    if (typeof filename !== 'string') return Errors.filenameNotProvided();
    if (this.end.isUnderWay) return new AbortError('queue is being terminated');
    if (name !== this.#target.name || filename !== this.#target.filename)
      this.#target = this.#newTarget(name, filename);
    return this.#target;
  }

  /** @param {string} name @param {string} filename */
  #newTarget(name, filename) {
    return { filename, name, handler: this.#handlerOf(name, filename) };
  }

  /**
   * Adds a thread for a task that would have to wait; returns why the task may not, if it may not.
   * @param {boolean} isAbortable
   */
  #makeRoom(isAbortable) {
    const { scheduler, threads } = this;
    if (!scheduler.isFullFor(isAbortable)) return undefined;
    const { maxQueue } = this.options;
    const { queued } = scheduler;
    if (queued > 0 && queued >= maxQueue + threads.pendingCapacity) {
      return maxQueue === 0 ? Errors.noTaskQueueAvailable() : Errors.taskQueueAtLimit();
    }
    threads.grow();
    return maxQueue <= 0 && threads.pendingCapacity === 0 ? Errors.noTaskQueueAvailable() : undefined;
  }

  /**
   * The number by which tasks name what runs them.
   * @param {string} name
   * @param {string} filename
   */
  #handlerOf(name, filename) {
    const key = `${name}\0${filename ? pathOf(filename) : ''}`;
    let handler = this.#handlers.get(key);
    if (handler === undefined) {
      handler = engine.poolAddHandler(this.id, key);
      this.#handlers.set(key, handler);
    }
    return handler;
  }

  // --- Tasks end ---

  /**
   * A thread has ended a task in some way of its own.
   * @param {number} id
   * @param {number} thread
   * @param {boolean} isError
   * @param {any} result
   */
  complete(id, thread, isError, result) {
    const task = completions.tasks.get(id);
    if (task === undefined) return;
    completions.remove(task);
    this.onCompletion(task, thread, isError, result);
    this.afterCompletions();
  }

  /**
   * @param {any} task
   * @param {number} thread
   * @param {boolean} isError
   * @param {any} result
   */
  onCompletion(task, thread, isError, result) {
    const handle = this.threads.handles.get(thread);
    if (handle !== undefined) {
      handle.finished++;
      if (this.options.recycle !== undefined) this.threads.checkWear(handle);
    }
    if (this.timesHere) engine.poolRecord(this.id, false, (performance.now() - task.started) * 1000);
    if (handle?.histogram) {
      handle.histogram.record(
        Math.max(1, Math.trunc((performance.now() - (task.started || task.created)) * 1000)),
      );
    }
    this.scheduler.completed(task);
    this.#settle(task, isError, result);
  }

  /**
   * @param {any} task
   * @param {boolean} isError
   * @param {any} result
   */
  #settle(task, isError, result) {
    this.completed++;
    if (isError) this.#counters.failed++;
    task.settle(isError, result);
  }

  /** @param {any[]} tasks @param {() => Error} errorFor */
  #rejectAll(tasks, errorFor) {
    for (const task of tasks) this.#settle(task, true, errorFor());
  }

  /**
   * Tasks whose thread was ended.
   * @param {any[]} tasks
   */
  rejectTerminated(tasks) {
    this.#rejectAll(tasks, Errors.threadTermination);
  }

  /**
   * Rejects the tasks that no thread has taken.
   * @param {() => Error} errorFor
   * @param {boolean} [leavesPlaced] leave those for which threads have room
   */
  dropWaiting(errorFor, leavesPlaced = false) {
    this.#rejectAll(this.scheduler.withdraw(Infinity, leavesPlaced), errorFor);
  }

  /** After some tasks have ended. */
  afterCompletions() {
    this.scheduler.advance();
    if (this.scheduler.queued === 0) this.threads.watchIdle();
    this.#drain.schedule();
    this.end.look();
  }

  /**
   * @param {any} task
   * @param {Error} error
   */
  #abort(task, error) {
    this.#counters[error instanceof TimeoutError ? 'timedOut' : 'aborted']++;
    // First, so that it is this error and not that of the thread's end.
    task.reject(error);
    task.cleanUp?.();
    const handle = this.scheduler.cancel(task);
    if (handle !== undefined) {
      this.completed++;
      this.threads.terminate(handle);
      this.threads.ensureMinimum();
      this.#keepWorking(error);
    }
    task.emitDestroy();
    this.afterCompletions();
  }

  /**
   * A task that cannot be handed over.
   * @param {any} task
   * @param {any} error
   */
  fail(task, error) {
    completions.remove(task);
    this.scheduler.completed(task);
    this.#settle(task, true, error);
    this.#drain.schedule();
    // It may have been the last that a `close` waits for.
    this.end.look();
  }

  // --- Threads tell ---

  /**
   * What a thread says about itself, or asks for.
   * @param {number} kind
   * @param {number} thread
   * @param {number} taskId
   */
  onNews(kind, thread, taskId) {
    const handle = this.threads.handles.get(thread);
    if (handle !== undefined) this.threads.onNews(kind, handle, taskId);
  }

  onThreadReady() {
    this.#drain.schedule();
    while (this.scheduler.queued > this.threads.pendingCapacity && this.threads.grow());
  }

  /**
   * A thread has ended by itself.
   * @param {any[]} lost tasks that ended with it
   * @param {{ error?: any, exitCode?: any, signal?: any, threadId: number }} end
   */
  onThreadEnd(lost, { error, exitCode = null, signal = null, threadId }) {
    for (const task of lost) {
      const { taskId, name, filename } = task;
      const reason =
        error === undefined
          ? Errors.threadExited({ exitCode, signal, threadId, taskId, name, filename })
          : withThread(error, threadId, taskId);
      this.#settle(task, true, reason);
    }
    if (lost.length === 0 && error !== undefined) this.#emit('error', error);
    this.#keepWorking(error ?? new Error(`worker exited with code: ${exitCode}`));
    this.afterCompletions();
  }

  /**
   * Tasks that wait need a thread, or an end.
   * @param {any} error
   */
  #keepWorking(error) {
    this.scheduler.flush();
    const { threads } = this;
    if (this.end.isDestroying || this.scheduler.queued === 0) return;
    if (threads.handles.size > 0 || (!threads.failsAtStart && threads.grow())) return;
    this.dropWaiting(() => error);
  }

  // --- Looking at it ---

  /** @param {number} milliseconds */
  recordWait(milliseconds) {
    if (this.options.recordTiming) engine.poolRecord(this.id, true, milliseconds * 1000);
  }

  /** @param {any} handle */
  interfaceOf(handle) {
    return viewOf(handle, this.scheduler);
  }

  metrics() {
    const { batches, queued, stolen, taken } = engine.poolCounts(this.id) ?? {};
    return copyOf({
      ...this.threads.counters,
      ...this.#counters,
      completed: this.completed,
      inFlight: this.scheduler.inFlight,
      threads: this.threads.handles.size,
      readyThreads: this.threads.readyCount,
      queued,
      taken,
      batches,
      stolen,
    });
  }
}

module.exports = { ThreadPool };
