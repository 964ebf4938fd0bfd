'use strict';
// @ts-check

// What users, and load balancers, see of a thread.

const { summaryOf } = require('../histogram');

const kHandle = Symbol('rcluster.handle');

/** @param {any} handle @param {any} scheduler */
function viewOf(handle, scheduler) {
  return {
    get id() {
      return handle.threadId;
    },
    get currentUsage() {
      return scheduler.usageOf(handle);
    },
    get isRunningAbortableTask() {
      return handle.isRunningAbortable;
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

module.exports = { kHandle, viewOf };
