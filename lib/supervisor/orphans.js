'use strict';
// @ts-check

// Process 1 collects what others leave behind, as nobody else does. Our own children, libuv's and those of other
// addons are left to whoever started them.

const { binding, engine } = require('../native');

/** How often orphans are looked for, in milliseconds: one system call, if there are none. */
const INTERVAL = 1000;

/**
 * Collects orphans, if this process is the one they come to.
 * @param {(text: string) => void} print
 * @returns {() => void} ends it
 */
function reapOrphans(print) {
  if (process.pid !== 1) return () => {};
  const reaper = new binding.OrphanReaper();
  let isTold = false;
  const timer = setInterval(() => {
    const count = reaper.reap(engine);
    if (count === 0 || isTold) return;
    isTold = true;
    print('collecting orphans, as this is process 1');
  }, INTERVAL);
  timer.unref();
  return () => clearInterval(timer);
}

module.exports = { reapOrphans };
