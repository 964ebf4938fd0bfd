'use strict';
// @ts-check

// What the signals to the supervisor do.

const { constants } = require('node:os');

const { catching } = require('../supervisor/proc');
const { oneLine } = require('./errors');

const STOPPING = /** @type {const} */ (['SIGTERM', 'SIGINT', 'SIGQUIT']);
/** Not ours: who starts us may send them to the app, and as process 1 we are the one it knows. */
const FORWARDED = /** @type {const} */ (['SIGUSR2', 'SIGWINCH', 'SIGCONT']);

/**
 * @param {InstanceType<typeof import('../supervisor/supervisor').Supervisor>} supervisor
 * @param {{ reload: () => Promise<any>, reopen: () => void, print: (text: string) => void }} actions
 * @returns {{ killedBy: number | undefined }} the signal that ended the workers at once
 */
function handleSignals(supervisor, { reload, reopen, print }) {
  /** @type {{ killedBy: number | undefined }} */
  const outcome = { killedBy: undefined };
  let isStopping = false;

  for (const signal of STOPPING) {
    process.on(signal, () => {
      if (isStopping) {
        outcome.killedBy = constants.signals[signal];
        print(`${signal} again: killing the workers`);
        supervisor.kill();
        return;
      }
      isStopping = true;
      attempt('stop', () => supervisor.stop());
    });
  }
  process.on('SIGHUP', () => attempt('reload', reload));
  process.on('SIGTTIN', () => attempt('scale', () => supervisor.scale(places() + 1)));
  process.on('SIGTTOU', () => attempt('scale', () => supervisor.scale(Math.max(1, places() - 1))));
  process.on('SIGUSR1', () => attempt('opening the log files', async () => reopen()));
  for (const signal of FORWARDED) process.on(signal, () => forward(signal));

  function places() {
    return supervisor.status().instances;
  }

  /** @param {string} what @param {() => Promise<unknown>} action */
  async function attempt(what, action) {
    try {
      await action();
    } catch (error) {
      print(`${what} failed: ${oneLine(/** @type {Error} */ (error).message)}`);
    }
  }

  /** Only to workers that have a handler: what it does by default is not what was meant. @param {NodeJS.Signals} signal */
  function forward(signal) {
    for (const { pid } of supervisor.workers) {
      if (pid === undefined || !catching(pid, constants.signals[signal])) continue;
      try {
        process.kill(pid, signal);
      } catch {
        // It has ended.
      }
    }
  }

  return outcome;
}

module.exports = { handleSignals };
