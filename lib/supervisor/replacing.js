'use strict';
// @ts-check

// Workers for workers: reloads, restarts, recycling, and more or fewer of them.

const { giveUpError, stoppedError } = require('./errors');
const { roll } = require('./rolling');
const { settleAll } = require('./settle');
const { runStatus } = require('./status');
const { updateRule } = require('./watching');

/**
 * @typedef {InstanceType<typeof import('./supervisor').Supervisor>} Supervisor
 * @typedef {InstanceType<typeof import('./run').Run>} Run
 * @typedef {InstanceType<typeof import('./place').Place>} OnePlace
 */

class Replacing {
  /** @param {Supervisor} supervisor */
  constructor(supervisor) {
    this.supervisor = supervisor;
    /** Replacements wait for each other. @type {Promise<unknown>} */
    this.last = Promise.resolve();
  }

  /**
   * Does replacements after those that are under way.
   * @template T
   * @param {() => Promise<T>} work
   * @returns {Promise<T>}
   */
  inTurn(work) {
    const done = this.last.then(work);
    this.last = done.catch(() => {});
    return done;
  }

  /** All, with code and environment read anew. @param {any} changes */
  reload(changes) {
    return this.inTurn(() => roll(this.supervisor, changes));
  }

  /** Makes and fills the places that are missing; those. */
  fill() {
    const { supervisor } = this;
    const made = supervisor.makePlaces();
    for (const place of made) place.begin();
    supervisor.changed();
    return made;
  }

  /**
   * @param {OnePlace} place
   * @param {Run} run
   * @param {string} reason
   * @param {number} value
   * @param {number} limit
   * @returns {Promise<boolean>} whether it was replaced
   */
  recycle(place, run, reason, value, limit) {
    const { supervisor } = this;
    return this.inTurn(async () => {
      if (place.run !== run || supervisor.isStopping) return true;
      supervisor.counts.recycles++;
      supervisor.emit('recycle', runStatus(supervisor, place, run), { reason, value, limit });
      supervisor.log(
        'info',
        'recycle',
        `worker ${place.id} (pid ${run.pid}) is replaced: ${reason} ${value}, limit ${limit}`,
        { id: place.id, pid: run.pid, reason, value, limit },
      );
      try {
        await place.replace(supervisor.current(), `recycled: ${reason}`);
        return true;
      } catch (error) {
        const { message } = /** @type {Error} */ (error);
        supervisor.log(
          'error',
          'recycle',
          `worker ${place.id} could not be replaced and goes on: ${message}`,
          {
            id: place.id,
          },
        );
        return false;
      }
    });
  }

  /** @param {number} count @param {'hand' | 'rule'} by @param {number} [utilization] */
  async resize(count, by, utilization) {
    const { supervisor } = this;
    const from = supervisor.instances;
    supervisor.instances = count;
    updateRule(supervisor);
    if (from !== count) {
      supervisor.emit('scale', { from, to: count, by, utilization });
      supervisor.log('info', 'scale', `from ${from} to ${count} workers`, {
        from,
        to: count,
        by,
        utilization,
      });
    }
    // The last come are the first to go.
    const surplus = [...supervisor.places.values()]
      .sort((a, b) => b.id - a.id)
      .slice(0, Math.max(0, supervisor.places.size - count));
    for (const place of surplus) supervisor.places.delete(place.id);
    for (const place of surplus) supervisor.going.add(place);
    const fresh = this.fill();
    await settleAll([
      ...surplus.map(async (place) => {
        await place.close(supervisor.drainOptions('scale'));
        supervisor.going.delete(place);
      }),
      ...fresh.map((place) => this.whenReady(place)),
    ]);
    return supervisor.instances;
  }

  /** @param {OnePlace} place @returns {Promise<void>} */
  whenReady(place) {
    const { supervisor } = this;
    return new Promise((resolve, reject) => {
      const look = () => {
        const failed = supervisor.isStopping || (place.isClosed && place.run === undefined);
        if (!failed && place.run?.state !== 'ready') return;
        for (const event of ['worker:ready', 'worker:exit', 'giveUp', 'state']) supervisor.off(event, look);
        if (failed)
          reject(
            supervisor.isStopping
              ? stoppedError('The new worker has not started')
              : giveUpError(`worker ${place.id} ${place.lastExit?.reason}`, place.lastExit),
          );
        else resolve();
      };
      for (const event of ['worker:ready', 'worker:exit', 'giveUp', 'state']) supervisor.on(event, look);
      look();
    });
  }
}

module.exports = { Replacing };
