'use strict';
// @ts-check

// What systemd is told, as a service of the types `notify` and `notify-reload`: sd_notify(3).

const { engine } = require('../native');

/**
 * What is told of a supervisor here.
 * @typedef {import('node:events').EventEmitter & {
 *   started: Promise<void>, stopped: Promise<unknown>, workers: Array<{ state: string }>, status(): { instances: number }
 * }} Followed
 */

/**
 * Takes what systemd has put into the environment for this process, and not for its children.
 * @param {NodeJS.ProcessEnv} [env]
 * @returns {Systemd | undefined} nothing where systemd does not listen
 */
function takeSystemd(env = process.env) {
  const { NOTIFY_SOCKET, WATCHDOG_USEC, WATCHDOG_PID } = env;
  delete env.NOTIFY_SOCKET;
  delete env.WATCHDOG_USEC;
  delete env.WATCHDOG_PID;
  if (!NOTIFY_SOCKET) return undefined;
  const isForUs = WATCHDOG_PID === undefined || Number(WATCHDOG_PID) === process.pid;
  return new Systemd(NOTIFY_SOCKET, isForUs ? Number(WATCHDOG_USEC) / 1000 || 0 : 0);
}

/** The service manager that has started us. */
class Systemd {
  #address;
  #watchdog;

  /**
   * @param {string} address of its socket
   * @param {number} watchdog how long we may be silent, in milliseconds; 0 for any time
   */
  constructor(address, watchdog) {
    this.#address = address;
    this.#watchdog = watchdog;
  }

  /** Tells what becomes of a supervisor. @param {Followed} supervisor */
  follow(supervisor) {
    supervisor.started.then(
      () => this.#send('READY=1', describe(supervisor)),
      () => {},
    );
    supervisor.on('state', (/** @type {string} */ state) => {
      // Before READY=1 it would be taken for a reload of what has not started.
      if (state === 'reloading')
        this.#send('RELOADING=1', `MONOTONIC_USEC=${monotonicMicroseconds()}`, 'STATUS=reloading');
      else if (state === 'stopping') this.#send('STOPPING=1', 'STATUS=draining');
    });
    supervisor.on('reload', (/** @type {any} */ { ok, error }) => {
      const failed = `STATUS=the last reload failed: ${error?.message?.split('\n', 1)[0]}`;
      this.#send('READY=1', ok ? describe(supervisor) : failed);
    });
    for (const event of ['worker:ready', 'worker:exit', 'scale']) {
      supervisor.on(event, () => this.#send(describe(supervisor)));
    }
    this.#keepAlive(supervisor);
  }

  /** Says that this event loop turns, twice as often as is asked for. @param {Followed} supervisor */
  #keepAlive(supervisor) {
    if (this.#watchdog === 0) return;
    const timer = setInterval(() => this.#send('WATCHDOG=1'), this.#watchdog / 2);
    timer.unref();
    supervisor.stopped.then(() => clearInterval(timer));
  }

  /** @param {...string} lines */
  #send(...lines) {
    // systemd restarting just now is no reason to end.
    engine.notifySystemd(this.#address, lines.join('\n'));
  }
}

/** @param {Followed} supervisor */
function describe(supervisor) {
  const ready = supervisor.workers.filter(({ state }) => state === 'ready').length;
  return `STATUS=${ready} of ${supervisor.status().instances} workers ready`;
}

function monotonicMicroseconds() {
  return process.hrtime.bigint() / 1000n;
}

module.exports = { takeSystemd };
