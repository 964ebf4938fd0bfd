'use strict';
// @ts-check

// The owner's view of one thread: the Worker, the port for what cannot go through the engine, its place there.

const path = require('node:path');
const { MessageChannel, Worker } = require('node:worker_threads');

const bindingFile = require('../../binding_file');
const { engine } = require('../../native');
const { bytesOf, typeOfBig } = require('../bytes');
const calls = require('../calls');
const { encode, encoded, isWide, post } = require('../codec');
const { passed } = require('../freed_memory');
const {
  EXCLUSIVE,
  JSON_TEXT,
  CLONE,
  COLUMNS,
  EMPTY,
  PORT,
  PREFETCH,
  SENT,
  TEXT,
  WANT,
} = require('../protocol');
const { Handle } = require('./handle');

const ENTRY = path.join(__dirname, '..', 'entry', 'thread.js');

const fields = new Int32Array(5);

class ThreadHandle extends Handle {
  /** @param {any} pool */
  constructor({ id: poolId, options }) {
    super(engine.poolAddThread(poolId), options);
    this.poolId = poolId;
    const { port1, port2 } = new MessageChannel();
    this.port = port1;
    // Read when the engine says so, never listened to: it must not keep the process alive.
    port1.unref();
    this.worker = new Worker(ENTRY, {
      env: options.env,
      argv: options.argv,
      execArgv: options.execArgv,
      resourceLimits: options.resourceLimits,
      workerData: options.workerData,
      trackUnmanagedFds: options.trackUnmanagedFds,
    });
    this.worker.postMessage(
      {
        binding: bindingFile.path,
        pool: poolId,
        thread: this.number,
        port: port2,
        filename: options.filename,
        name: options.name,
        limit: options.concurrentTasksPerWorker,
        timing: options.recordTiming || options.workerHistogram,
        niceIncrement: options.niceIncrement,
        heap: options.recycle?.heap ?? 0,
      },
      [port2],
    );
    this.threadId = this.worker.threadId;
  }

  /** Takes it out if it has nothing to do. */
  retire() {
    return engine.poolRetire(this.poolId, this.number);
  }

  /** Lets it finish what it has; `LEFT` follows. */
  leave() {
    engine.poolLeave(this.poolId, this.number);
  }

  /** Tasks it has not finished, where the engine gives them out. */
  get engineUsage() {
    return engine.poolUsage(this.poolId, this.number);
  }

  /**
   * Gives it one task, for itself. Throws what makes that impossible.
   * @param {InstanceType<typeof import('../task').Task>} task
   */
  give(task) {
    const value = task.release();
    let kind = task.transferList.length > 0 ? PORT : encode(value);
    if (kind === PORT) {
      post(this.port, task.taskId, value, task.transferList);
      kind |= SENT;
    }
    const { payload } = encoded;
    if (kind === TEXT || kind === COLUMNS) calls.put(this.poolId, payload, payload.length, isWide(payload));
    else if (kind === CLONE) engine.poolPutBytes(this.poolId, payload);
    const text = kind === JSON_TEXT ? payload : '';
    fields[0] = task.taskId;
    fields[1] = task.handler;
    fields[2] = kind | (task.isAbortable ? EXCLUSIVE : 0);
    fields[3] = (kind & SENT) !== 0 || kind === EMPTY ? 0 : payload.length;
    fields[4] = task.priority;
    calls.submit(this.poolId, 1, fields, this.number, text, text.length, isWide(text));
  }

  /**
   * Gives the thread the value of a task that it has asked for. Throws what makes that impossible.
   * @param {number} request what it has said
   * @param {number} taskId
   * @param {InstanceType<typeof import('../task').Task> | undefined} task `undefined`: it has ended otherwise
   */
  answer(request, taskId, task) {
    try {
      if (task === undefined) {
        if (request !== PREFETCH) this.port.postMessage([taskId]);
      } else if (request === WANT) {
        post(this.port, taskId, task.release(), task.transferList);
      } else if (request === PREFETCH || !this.#fill(taskId, task.value)) {
        // Another thread may yet take the task and ask as well: the value stays.
        post(this.port, taskId, task.value, task.transferList, true);
      }
    } catch (error) {
      this.port.postMessage([taskId]);
      throw error;
    } finally {
      engine.poolWake(this.poolId, this.number);
    }
  }

  /**
   * Copies a value to where the thread wants its bytes. False where that is not what the thread was promised.
   * @param {number} taskId
   * @param {any} value
   */
  #fill(taskId, value) {
    if (typeOfBig(value) < 0) return false;
    passed(value.byteLength);
    return engine.poolFill(this.poolId, this.number, taskId, bytesOf(value));
  }

  end() {
    const lost = engine.poolRemoveThread(this.poolId, this.number);
    this.worker.terminate();
    this.port.close();
    return lost;
  }
}

module.exports = { ThreadHandle };
