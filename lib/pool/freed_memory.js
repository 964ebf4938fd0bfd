'use strict';
// @ts-check

// V8 frees big buffers in heaps, when it collects. glibc gives such memory back to the kernel at once, and the next buffer
// pays for it with a page fault for every 4 KiB. Where big buffers come and go, it can be told to keep some: only on
// request, as that is for the whole process, and as it saved a third of the page faults but, in the median, hardly time.

const { engine } = require('../native');

/** Up to this size memory is glibc's own to begin with. */
const BIG = 128 * 1024;

/** So many show that more will come. */
const MANY = 16;

/** Setting it to 1 has memory kept. */
const SWITCH = 'RCLUSTER_KEEP_FREED_MEMORY';

let seen = 0;

/** A buffer has been passed between threads. @param {number} bytes */
function passed(bytes) {
  if (seen === MANY || bytes < BIG) return;
  if (++seen === MANY && process.env[SWITCH] === '1') engine.poolKeepFreedMemory();
}

module.exports = { passed };
