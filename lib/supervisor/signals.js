'use strict';
// @ts-check

// The primary's own signals: SIGTERM and SIGINT stop it, a second one at once.

const os = require('node:os');

const SIGNALS = /** @type {const} */ (['SIGTERM', 'SIGINT']);
const SIGNAL_EXIT = 128;

/**
 * @param {InstanceType<typeof import('./supervisor').Supervisor>} supervisor
 * @returns {() => void} leaves them to others again
 */
function handleSignals(supervisor) {
  let isStopping = false;
  /** @param {NodeJS.Signals} signal */
  const onSignal = (signal) => {
    if (isStopping) {
      supervisor.kill();
      process.exit(SIGNAL_EXIT + os.constants.signals[signal]);
    }
    isStopping = true;
    void supervisor.stop({ signal }).then(() => process.exit());
  };
  for (const signal of SIGNALS) process.on(signal, onSignal);
  return () => {
    // Those of a stop that was asked for by signal stay until the exit.
    if (isStopping) return;
    for (const signal of SIGNALS) process.off(signal, onSignal);
  };
}

module.exports = { handleSignals };
