'use strict';
// @ts-check

// Threads and tasks of one pool: how many threads there are, what becomes of tasks when one ends, limits, the end.

const { once } = require('node:events');
const { performance } = require('node:perf_hooks');
const { setTimeout: sleep } = require('node:timers/promises');

const { engine } = require('../native');
const completions = require('./completions');
const { AbortError, Errors, TimeoutError } = require('./errors');
const { copyOf, fillOptions, pathOf } = require('./options');
const { LEFT, PREFETCH, READY, WANT, WANT_BYTES, WORN } = require('./protocol');
const { isOrdinary } = require('./queues');
const { BalancedScheduler, isRunningAbortable } = require('./runtime/balanced_scheduler');
const { EngineScheduler } = require('./runtime/engine_scheduler');
const { ThreadHandle, kHandle } = require('./runtime/thread_handle');
const { Task, onAbort } = require('./task');
const { summaryOf } = require('./histogram');

/** Pools that are garbage have no threads any more, but a number in the engine. */
const forgotten = new FinalizationRegistry((id) => engine.poolClose(id));

class ThreadPool {
  /** Threads by number. @type {Map<number, any>} */
  handles = new Map();
  readyCount = 0;
  completed = 0;
  needsDrain = false;
  startedAt = performance.now();

  #owner;
  #isStartingUp = false;
  #isClosing = false;
  #isDestroying = false;
  /** A thread failed before it took tasks: others would as well. */
  #failsAtStart = false;
  #isDrainScheduled = false;
  /** Tasks have waited since `drain` was last said: who waits for that may wait though not all threads were busy. */
  #hasQueued = false;
  /** Called when no task is left. @type {(() => void)[]} */
  #whenEmpty = [];
  /** @type {Map<string, number>} */
  #handlers = new Map();
  counters = { threadsStarted: 0, threadsCrashed: 0, threadsRecycled: 0, failed: 0, aborted: 0, timedOut: 0 };

  /** @param {import('node:events').EventEmitterAsyncResource} owner @param {any} given */
  constructor(owner, given) {
    this.#owner = owner;
    this.asyncId = owner.asyncResource.asyncId();
    this.options = fillOptions(given);
    this.limit = this.options.concurrentTasksPerWorker;
    this.capacity = this.options.maxThreads * this.limit;
    this.id = engine.poolOpen();
    forgotten.register(owner, this.id);
    this.#handlerOf(this.options.name, this.options.filename);
    const isOurs =
      this.options.runtime === 'thread' && given.loadBalancer == null && isOrdinary(this.options.taskQueue);
    this.scheduler = isOurs ? new EngineScheduler(this) : new BalancedScheduler(this);
    /** Whether tasks are timed here, and not where they run. */
    this.timesHere = this.options.recordTiming && !isOurs;
    this.#isStartingUp = true;
    this.#ensureMinimum();
    this.#isStartingUp = false;
  }

  get #pendingCapacity() {
    return (this.handles.size - this.readyCount) * this.limit;
  }

  get queueSize() {
    return Math.max(0, this.scheduler.queued - this.#pendingCapacity);
  }

  *readyHandles() {
    for (const handle of this.handles.values()) if (handle.isReady && !handle.isLeaving) yield handle;
  }

  // --- Threads ---

  #ensureMinimum() {
    if (this.#isClosing || this.#isDestroying) return;
    while (this.handles.size < this.options.minThreads) this.#addThread();
  }

  /** Adds a thread if there may be more. */
  grow() {
    if (this.handles.size >= this.options.maxThreads || this.#isClosing) return false;
    this.#addThread();
    return true;
  }

  #addThread() {
    const Handle =
      this.options.runtime === 'process' ? require('./runtime/process_handle').ProcessHandle : ThreadHandle;
    /** @type {any} */
    const handle = new Handle(this.options, this.id);
    this.counters.threadsStarted++;
    completions.pools.set(this.id, this);
    this.handles.set(handle.number, handle);
    handle.worker.on('message', (/** @type {any} */ message) => this.#owner.emit('message', message));
    handle.worker.on('error', (/** @type {any} */ error) => this.#onThreadEnd(handle, error, null, null));
    handle.worker.on('exit', (/** @type {any} */ code, /** @type {any} */ signal) =>
      this.#onThreadEnd(handle, undefined, code, signal),
    );
    // After the listeners: one for messages makes a Worker keep the process alive.
    handle.worker.unref();
    if (this.options.runtime === 'process') {
      handle.onNews = (/** @type {number} */ kind, /** @type {number} */ id) =>
        this.onNews(kind, handle.number, id);
      handle.onCompletion = (
        /** @type {any} */ task,
        /** @type {boolean} */ isError,
        /** @type {any} */ result,
      ) => {
        completions.remove(task);
        this.onCompletion(task, handle.number, isError, result);
        this.afterCompletions();
      };
    }
    if (this.#isStartingUp) {
      // Counts from the start: what is submitted now waits for no others.
      this.#markReady(handle);
      queueMicrotask(() => {
        this.#owner.emit('workerCreate', this.interfaceOf(handle));
        this.scheduler.advance();
      });
    }
    return handle;
  }

  /**
   * @param {any} handle
   */
  #markReady(handle) {
    handle.isReady = true;
    this.readyCount++;
  }

  /** @param {number} number @returns {any} */
  handleOf(number) {
    return this.handles.get(number);
  }

  /** @param {number} number */
  portOf(number) {
    return this.handles.get(number)?.port;
  }

  /**
   * Takes a thread out and ends it. Returns the tasks that it had begun, or was given for itself.
   * @param {any} handle
   */
  #removeThread(handle) {
    if (handle.isDestroyed) return [];
    // What it has handed back is done.
    completions.readCompletions();
    const ids = handle.destroy();
    const lost = this.scheduler.lose(handle, ids);
    if (handle.isReady) this.readyCount--;
    this.handles.delete(handle.number);
    if (this.handles.size === 0) completions.pools.delete(this.id);
    this.#owner.emit('workerDestroy', this.interfaceOf(handle));
    return lost;
  }

  /**
   * Ends a thread whose tasks nobody waits for, or whose tasks may not go on.
   * @param {any} handle
   */
  #terminate(handle) {
    for (const task of this.#removeThread(handle)) this.#settle(task, true, Errors.threadTermination());
  }

  /**
   * A thread has ended by itself, or is about to.
   * @param {any} handle
   * @param {any} error
   * @param {any} exitCode
   * @param {any} signal
   */
  #onThreadEnd(handle, error, exitCode, signal) {
    if (handle.isDestroyed) {
      return;
    }
    this.counters.threadsCrashed++;
    const wasReady = handle.isReady;
    const { threadId } = handle;
    const lost = this.#removeThread(handle);
    if (!handle.hasJoined && wasReady && error !== undefined) {
      // It would have run these.
      lost.push(...this.scheduler.withdraw(this.limit - lost.length));
    }
    if (wasReady && !this.#failsAtStart && handle.hasJoined) this.#ensureMinimum();
    else if (!handle.hasJoined) this.#failsAtStart = true;
    for (const task of lost) {
      const { taskId, name, filename } = task;
      const reason =
        error === undefined
          ? Errors.threadExited({ exitCode, signal, threadId, taskId, name, filename })
          : withThread(error, threadId, taskId);
      this.#settle(task, true, reason);
    }
    if (lost.length === 0 && error !== undefined) this.#owner.emit('error', error);
    this.#keepWorking(error ?? new Error(`worker exited with code: ${exitCode}`));
    this.afterCompletions();
  }

  /**
   * Tasks that wait need a thread, or an end.
   * @param {any} error
   */
  #keepWorking(error) {
    this.scheduler.flush();
    if (this.#isDestroying || this.scheduler.queued === 0) return;
    if (this.handles.size > 0 || (!this.#failsAtStart && this.grow())) return;
    for (const task of this.scheduler.withdraw(Infinity)) this.#settle(task, true, error);
  }

  /**
   * What a thread says about itself, or asks for.
   * @param {number} kind
   * @param {number} thread
   * @param {number} taskId
   */
  onNews(kind, thread, taskId) {
    const handle = this.handles.get(thread);
    if (handle === undefined) return;
    switch (kind) {
      case READY:
        handle.hasJoined = true;
        if (!handle.isReady) {
          this.#markReady(handle);
          this.#owner.emit('workerCreate', this.interfaceOf(handle));
        }
        handle.onReady?.();
        this.scheduler.advance();
        this.#scheduleDrain();
        while (this.scheduler.queued > this.#pendingCapacity && this.grow());
        this.#watchIdle(handle);
        break;
      case WANT:
      case PREFETCH:
      case WANT_BYTES: {
        const task = completions.tasks.get(taskId);
        try {
          handle.answer(kind, taskId, task);
        } catch (error) {
          if (task) this.fail(task, error);
        }
        break;
      }
      case LEFT:
        this.#terminate(handle);
        break;
      case WORN:
        this.#recycle(handle);
        break;
    }
  }

  /**
   * Removes a thread beyond the minimum when it has had nothing to do for long enough.
   * @param {any} handle
   */
  #watchIdle(handle) {
    const { idleTimeout, minThreads } = this.options;
    if (idleTimeout === Infinity || handle.idleTimer !== null || this.handles.size <= minThreads) return;
    if (!handle.isReady || !handle.hasJoined || this.scheduler.usageOf(handle) !== 0) return;
    const { finished } = handle;
    handle.idleTimer = setTimeout(() => {
      handle.idleTimer = null;
      if (this.handles.size <= minThreads) return;
      if (handle.finished !== finished) this.#watchIdle(handle);
      else if (this.scheduler.usageOf(handle) === 0 && handle.retire()) this.#terminate(handle);
    }, idleTimeout).unref();
  }

  /**
   * Replaces a thread: the new one first.
   * @param {any} handle
   */
  #recycle(handle) {
    if (handle.isLeaving || handle.isDestroyed || this.#isClosing || this.#isDestroying) return;
    handle.isLeaving = true;
    this.counters.threadsRecycled++;
    /** @type {any} */
    const replacement = this.#addThread();
    replacement.onReady = () => {
      replacement.onReady = undefined;
      if (!handle.isDestroyed) handle.leave();
    };
  }

  /**
   * @param {any} handle
   */
  #checkWear(handle) {
    const { recycle } = this.options;
    if (recycle === undefined || handle.isLeaving) return;
    const isOld = Date.now() - handle.startedAt >= (recycle.age ?? Infinity);
    if (isOld || handle.finished >= (recycle.tasks ?? Infinity)) this.#recycle(handle);
  }

  // --- Tasks ---

  /** @param {any} value @param {any} options validated */
  run(value, options) {
    const filename = options.filename ?? this.options.filename;
    const name = options.name ?? this.options.name;
    if (typeof filename !== 'string') return Promise.reject(Errors.filenameNotProvided());
    if (this.#isClosing || this.#isDestroying)
      return Promise.reject(new AbortError('queue is being terminated'));
    const { signal, timeout } = options;
    if (signal?.aborted) return Promise.reject(new AbortError(signal.reason));
    const refusal = this.#makeRoom();
    if (refusal !== undefined) return Promise.reject(refusal);
    return new Promise((resolve, reject) => {
      const task = new Task(
        this,
        value,
        {
          transferList: options.transferList,
          filename,
          name,
          handler: this.#handlerOf(name, filename),
          priority: options.priority ?? 0,
        },
        resolve,
        reject,
      );
      if (signal != null || timeout > 0) this.#watch(task, signal, timeout);
      this.scheduler.submit(task);
      this.#scheduleDrain();
    });
  }

  /** Adds a thread for a task that would have to wait; returns why the task may not, if it may not. */
  #makeRoom() {
    const { scheduler } = this;
    if (!scheduler.isFull) return undefined;
    const { maxQueue } = this.options;
    const { queued } = scheduler;
    if (queued > 0 && queued >= maxQueue + this.#pendingCapacity) {
      return maxQueue === 0 ? Errors.noTaskQueueAvailable() : Errors.taskQueueAtLimit();
    }
    this.grow();
    return maxQueue <= 0 && this.#pendingCapacity === 0 ? Errors.noTaskQueueAvailable() : undefined;
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

  /**
   * Ends a task early on a signal, or after a time.
   * @param {any} task
   * @param {any} signal
   * @param {any} timeout
   */
  #watch(task, signal, timeout) {
    task.isAbortable = true;
    /** @type {(() => void)[]} */
    const cleaners = [];
    if (signal != null) {
      cleaners.push(
        onAbort(signal, () => {
          this.counters.aborted++;
          this.#abort(task, new AbortError(signal.reason));
        }),
      );
    }
    if (timeout > 0 && timeout !== Infinity) {
      const timer = setTimeout(() => {
        this.counters.timedOut++;
        this.#abort(task, new TimeoutError(timeout));
      }, timeout);
      cleaners.push(() => clearTimeout(timer));
    }
    task.cleanUp = () => cleaners.forEach((clean) => clean());
  }

  /**
   * @param {any} task
   * @param {any} error
   */
  #abort(task, error) {
    // First, so that it is this error and not that of the thread's end.
    task.reject(error);
    task.cleanUp?.();
    const handle = this.scheduler.cancel(task);
    if (handle !== undefined) {
      this.completed++;
      this.#terminate(handle);
      this.#ensureMinimum();
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
    this.#scheduleDrain();
  }

  /**
   * @param {any} task
   * @param {number} thread
   * @param {boolean} isError
   * @param {any} result
   */
  onCompletion(task, thread, isError, result) {
    const handle = this.handles.get(thread);
    if (handle !== undefined) {
      handle.finished++;
      if (this.options.recycle !== undefined) this.#checkWear(handle);
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
   * @param {number} milliseconds
   */
  recordWait(milliseconds) {
    if (this.options.recordTiming) engine.poolRecord(this.id, true, milliseconds * 1000);
  }

  /**
   * @param {any} task
   * @param {boolean} isError
   * @param {any} result
   */
  #settle(task, isError, result) {
    this.completed++;
    if (isError) this.counters.failed++;
    task.settle(isError, result);
  }

  /** After some tasks have ended. */
  afterCompletions() {
    this.scheduler.advance();
    if (this.handles.size > this.options.minThreads && this.scheduler.queued === 0) {
      for (const handle of this.handles.values()) this.#watchIdle(handle);
    }
    this.#scheduleDrain();
    if (this.#whenEmpty.length > 0 && this.scheduler.inFlight === 0) {
      for (const callback of this.#whenEmpty.splice(0)) callback();
    }
  }

  /** Says, once a tick, that all threads are busy, or no longer are. */
  #scheduleDrain() {
    if (this.#isDrainScheduled) return;
    this.#isDrainScheduled = true;
    queueMicrotask(() => {
      this.#isDrainScheduled = false;
      const { inFlight, usage } = this.scheduler;
      if (this.queueSize > 0) this.#hasQueued = true;
      if (usage === this.capacity) {
        this.needsDrain = true;
        this.#owner.emit('needsDrain');
      } else if (usage < this.capacity && (this.needsDrain || (this.#hasQueued && inFlight === 0))) {
        this.needsDrain = false;
        this.#hasQueued = false;
        this.#owner.emit('drain');
      }
    });
  }

  /**
   * Runs a task on every thread.
   * @param {any} value
   * @param {any} options
   */
  broadcast(value, options) {
    const filename = options.filename ?? this.options.filename;
    const name = options.name ?? this.options.name;
    if (typeof filename !== 'string') return Promise.reject(Errors.filenameNotProvided());
    if (this.#isClosing || this.#isDestroying)
      return Promise.reject(new AbortError('queue is being terminated'));
    this.scheduler.flush();
    const handler = this.#handlerOf(name, filename);
    const runs = [...this.handles.values()].map(
      (handle) =>
        new Promise((resolve, reject) => {
          const task = new Task(this, value, { filename, name, handler, priority: 0 }, resolve, reject);
          task.worker = handle;
          task.started = performance.now();
          handle.tasks.add(task);
          if (this.scheduler instanceof EngineScheduler) this.scheduler.inFlight++;
          completions.add(task);
          try {
            handle.give(task);
          } catch (error) {
            this.fail(task, error);
          }
        }),
    );
    return Promise.all(runs);
  }

  // --- The end ---

  async destroy() {
    this.#isDestroying = true;
    for (const task of this.scheduler.withdraw(Infinity))
      this.#settle(task, true, Errors.threadTermination());
    const exits = [];
    for (const handle of Array.from(this.handles.values())) {
      exits.push(once(handle.worker, 'exit'));
      // Until it has: or the process could end in between, and `destroy` never.
      handle.worker.ref();
      this.#terminate(handle);
    }
    for (const task of this.scheduler.withdraw(Infinity))
      this.#settle(task, true, Errors.threadTermination());
    this.afterCompletions();
    await Promise.allSettled(exits);
    this.#isDestroying = false;
  }

  /** @param {boolean} force drop what waits */
  async close(force) {
    this.#isClosing = true;
    if (force) {
      for (const task of this.scheduler.withdraw(Infinity))
        this.#settle(task, true, new AbortError('pool is closed'));
    }
    const stopped = new AbortController();
    const late = sleep(this.options.closeTimeout, true, { ref: false, signal: stopped.signal }).catch(
      () => false,
    );
    if (this.scheduler.inFlight > 0) {
      const isLate = await Promise.race([
        late,
        new Promise((resolve) => {
          this.#whenEmpty.push(() => resolve(false));
        }),
      ]);
      if (isLate) this.#owner.emit('error', Errors.closeTimeout());
    }
    stopped.abort();
    await this.destroy();
    this.#owner.emit('close');
    this.#isClosing = false;
  }

  // --- Looking at it ---

  /**
   * What users, and load balancers, see of a thread.
   * @param {any} handle
   */
  interfaceOf(handle) {
    const { scheduler } = this;
    return {
      get id() {
        return handle.threadId;
      },
      get currentUsage() {
        return scheduler.usageOf(handle);
      },
      get isRunningAbortableTask() {
        return isRunningAbortable(handle);
      },
      get histogram() {
        return handle.histogram && summaryOf(handle.histogram);
      },
      get terminating() {
        return false;
      },
      get destroyed() {
        return handle.isDestroyed;
      },
      [kHandle]: handle,
    };
  }

  metrics() {
    const { batches, queued, stolen, taken } = engine.poolCounts(this.id) ?? {};
    return copyOf({
      ...this.counters,
      completed: this.completed,
      inFlight: this.scheduler.inFlight,
      threads: this.handles.size,
      readyThreads: this.readyCount,
      queued,
      taken,
      batches,
      stolen,
    });
  }
}

/**
 * Says in an uncaught error of a thread where it happened, without changing what users compare.
 * @param {any} error
 * @param {number} threadId
 * @param {number} taskId
 */
function withThread(error, threadId, taskId) {
  if (typeof error === 'object' && error !== null && Object.isExtensible(error)) {
    Object.defineProperties(error, {
      threadId: { value: threadId, configurable: true, writable: true },
      taskId: { value: taskId, configurable: true, writable: true },
      exitCode: { value: 1, configurable: true, writable: true },
    });
  }
  return error;
}

module.exports = { ThreadPool };
