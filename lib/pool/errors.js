'use strict';
// @ts-check

// All errors of the pool, in one table; the messages are Piscina's where it has such an error.

class AbortError extends Error {
  /** @param {unknown} [reason] */
  constructor(reason) {
    super('The task has been aborted', { cause: reason });
  }

  get name() {
    return 'AbortError';
  }
}

class TimeoutError extends Error {
  /** @param {number} timeout */
  constructor(timeout) {
    super(`The task has taken longer than ${timeout} ms`);
    /** @type {string} */
    this.code = 'ERR_RCLUSTER_TASK_TIMEOUT';
  }

  get name() {
    return 'TimeoutError';
  }
}

const Errors = {
  threadTermination: () => new Error('Terminating worker thread'),
  filenameNotProvided: () => new Error('filename must be provided to run() or in options object'),
  taskQueueAtLimit: () => new Error('Task queue is at limit'),
  noTaskQueueAvailable: () => new Error('No task queue available and all Workers are busy'),
  closeTimeout: () => new Error('Close operation timed out'),

  /**
   * A thread has ended with a task on it.
   * @param {{ exitCode: number | null, signal?: string | null, threadId: number, taskId: number, name: string,
   *   filename: string }} end
   */
  threadExited({ exitCode, signal, threadId, taskId, name, filename }) {
    const how = signal ? `signal: ${signal}` : `code: ${exitCode}`;
    const error = new Error(
      `worker exited with ${how} (thread ${threadId}, task ${taskId}: ${name} of ${filename})`,
    );
    return Object.assign(error, { code: 'ERR_RCLUSTER_THREAD_EXITED', exitCode, signal, threadId, taskId });
  },
};

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

module.exports = { AbortError, Errors, TimeoutError, withThread };
