'use strict';
// @ts-check

// V8 frees big buffers in heaps, when it collects. glibc gives such memory back to the kernel at once, and the next buffer
// pays for it with a page fault for every 4 KiB. So while big buffers come and go it is told to keep some, and a second
// after the last to give it back. That is for the whole process, so it can be switched off.

const { engine } = require('../native');

/** Up to this size memory is glibc's own to begin with. */
const BIG = 128 * 1024;

/** So many show that more will come. */
const MANY = 16;

/** Milliseconds without a big buffer after which memory is given back. */
const IDLE_MS = 1000;

/** Setting it to 0 leaves glibc alone. */
const SWITCH = 'RCLUSTER_KEEP_FREED_MEMORY';

let seen = 0;
let largest = 0;
let wasUsed = false;

/** A buffer has been passed between threads. @param {number} bytes */
function passed(bytes) {
  if (bytes < BIG) return;
  wasUsed = true;
  if (bytes > largest) largest = bytes;
  if (seen === MANY || ++seen !== MANY || process.env[SWITCH] === '0') return;
  engine.poolKeepFreedMemory(largest);
  const timer = setInterval(() => {
    if (!wasUsed) {
      clearInterval(timer);
      seen = 0;
      largest = 0;
      engine.poolKeepFreedMemory(0);
    }
    wasUsed = false;
  }, IDLE_MS).unref();
}

module.exports = { passed };
