'use strict';
// @ts-check

// Probes: each worker that is ready is asked again and again whether it is well.

const { runStatus } = require('./status');
const { after } = require('./timers');

class Prober {
  /** @param {InstanceType<typeof import('./supervisor').Supervisor>} supervisor */
  constructor(supervisor) {
    this.supervisor = supervisor;
    /** How often each has failed in a row. @type {WeakMap<object, number>} */
    this.failures = new WeakMap();
    /** @type {(() => void) | undefined} */
    this.cancel = undefined;
    this.plan();
  }

  plan() {
    const { probe } = this.supervisor.options;
    if (probe === undefined) return;
    this.cancel = after(probe.interval, () => {
      this.plan();
      for (const place of this.supervisor.places.values()) {
        if (place.run?.state === 'ready') void this.probe(place, place.run);
      }
    });
  }

  /** @param {InstanceType<typeof import('./place').Place>} place @param {InstanceType<typeof import('./run').Run>} run */
  async probe(place, run) {
    const { supervisor } = this;
    const { probe } = supervisor.options;
    try {
      await this.look(place, run);
      this.failures.delete(run);
    } catch (error) {
      const failures = (this.failures.get(run) ?? 0) + 1;
      this.failures.set(run, failures);
      const { message } = /** @type {Error} */ (error);
      supervisor.log(
        'warn',
        'probe',
        `worker ${place.id} (pid ${run.pid}) has failed a probe (${failures} of ${probe.failures}): ${message}`,
        { id: place.id, failures },
      );
      if (failures >= probe.failures) place.recycle(run, 'probe', failures, probe.failures);
    }
  }

  /** Throws where it is not well. @param {InstanceType<typeof import('./place').Place>} place @param {InstanceType<typeof import('./run').Run>} run */
  async look(place, run) {
    const { fn, http, port, timeout } = this.supervisor.options.probe;
    if (http !== undefined) {
      const status = await this.supervisor.questions.ask(
        run,
        'rcluster:probe',
        { path: http, port },
        { timeout },
      );
      if (!(status >= 200 && status < 400)) throw new Error(`${http} answered ${status}`);
      return;
    }
    let cancel = () => {};
    const late = new Promise((_, reject) => {
      cancel = after(timeout, () => reject(new Error(`not within ${timeout} ms`)));
    });
    try {
      const result = await Promise.race([Promise.resolve(fn(runStatus(this.supervisor, place, run))), late]);
      if (result === false) throw new Error('it gave false');
    } finally {
      cancel();
    }
  }

  stop() {
    this.cancel?.();
  }
}

module.exports = { Prober };
