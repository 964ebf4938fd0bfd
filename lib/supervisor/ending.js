'use strict';
// @ts-check

// How a supervisor ends.

const { stoppedError } = require('./errors');
const { after } = require('./timers');
const { leave } = require('./watching');

/** How long a connection that is idle is left open when nobody will serve it any more, in milliseconds. */
const LAST_IDLE_GRACE = 100;

class Ending {
  /** @param {InstanceType<typeof import('./supervisor').Supervisor>} supervisor */
  constructor(supervisor) {
    this.supervisor = supervisor;
    /** When all has ended, once that has begun. @type {Promise<void> | undefined} */
    this.done = undefined;
    /** @type {Promise<void> | undefined} */
    this.ended = undefined;
    /** Ends the delay. @type {(() => void) | undefined} */
    this.hurry = undefined;
  }

  /** Ends for a reason of its own. @param {string} reason @param {Error} [error] */
  async finish(reason, error) {
    const { supervisor } = this;
    if (supervisor.isStopping) return;
    const ended = this.end(supervisor.options.stopTimeout, reason, error);
    this.done ??= ended;
    // A stop that goes on serving for a while has nobody left to serve.
    this.hurry?.();
    await ended;
  }

  /** Once, whoever asks for it. @param {number} timeout @param {string} reason @param {Error} [error] */
  end(timeout, reason, error) {
    this.ended ??= this.endAll(timeout, reason, error);
    return this.ended;
  }

  /** @param {number} timeout @param {string} reason @param {Error} [error] */
  async endAll(timeout, reason, error) {
    const { supervisor } = this;
    supervisor.setState('stopping');
    supervisor.changed();
    supervisor.rejectStarted(error ?? stoppedError('Not all workers have started'));
    const how = { ...supervisor.drainOptions('stop'), timeout, idleGrace: LAST_IDLE_GRACE, move: false };
    await Promise.all(supervisor.allPlaces().map((place) => place.close(how)));
    supervisor.prober.stop();
    supervisor.questions.close();
    supervisor.coordination.close();
    supervisor.forgetSignals?.();
    leave(supervisor);
    supervisor.setState('stopped');
    const outcome = error === undefined ? { reason } : { reason, error };
    supervisor.log('info', 'stopped', `${supervisor.name} has stopped (${reason})`, { reason });
    supervisor.emit('stopped', outcome);
    supervisor.resolveStopped(outcome);
  }

  /** @param {number} delay @param {number} timeout @param {string | undefined} signal */
  async stopAfter(delay, timeout, signal) {
    const { supervisor } = this;
    supervisor.emit('stopping', { signal });
    supervisor.log(
      'info',
      'stopping',
      `${supervisor.name} is stopping${signal === undefined ? '' : ` on ${signal}`}`,
      {
        signal,
      },
    );
    // Who shares out the requests is told first, and goes on sending them for a while: Kubernetes' order.
    supervisor.isLeaving = true;
    supervisor.changed();
    if (delay > 0) {
      await new Promise((resolve) => {
        const cancel = after(delay, () => resolve(undefined));
        this.hurry = () => (cancel(), resolve(undefined));
      });
    }
    await this.end(timeout, 'stop');
  }

  /** Waits for nobody. */
  atOnce() {
    this.done ??= this.end(0, 'stop');
    this.hurry?.();
  }
}

module.exports = { Ending };
