'use strict';
// @ts-check

// A reload: all workers are replaced, a batch at a time. Where a new one fails, the old set is what serves afterwards.

const { isDeepStrictEqual } = require('node:util');

const { giveUpError, reloadError, stoppedError } = require('./errors');
const { settleAll } = require('./settle');
const { resolveStart } = require('./start');

/**
 * @typedef {InstanceType<typeof import('./supervisor').Supervisor>} Supervisor
 * @typedef {InstanceType<typeof import('./place').Place>} Place
 */

/**
 * Replaces all workers, with code and environment read anew.
 * @param {Supervisor} supervisor
 * @param {any} changes
 */
async function roll(supervisor, changes) {
  if (supervisor.isStopping || supervisor.isLeaving) throw stoppedError('There is nothing to reload');
  const begun = Date.now();
  const before = supervisor.template;
  /** @type {Place[]} */
  const replaced = [];
  if (supervisor.state === 'running') supervisor.setState('reloading');
  try {
    supervisor.generation++;
    supervisor.template = resolveStart(supervisor, changes);
    const waiting = [...supervisor.places.values()].filter((place) => !place.isClosed);
    while (waiting.length > 0) {
      const batch = waiting.splice(0, supervisor.options.reloadConcurrency);
      replaced.push(...(await putIn(supervisor, batch)));
    }
    if (supervisor.isStopping) throw stoppedError('The reload was given up');
    // A place that was given up gets another chance with the new code.
    for (const [id, place] of supervisor.places) if (place.isClosed) supervisor.places.delete(id);
    supervisor.replacing.fill();
    supervisor.counts.reloads++;
    const duration = Date.now() - begun;
    supervisor.emit('reload', { ok: true, replaced: replaced.length, rolledBack: 0, duration });
    supervisor.log('info', 'reload', `${replaced.length} workers replaced in ${duration} ms`, {
      replaced: replaced.length,
      duration,
    });
    return { replaced: replaced.length, duration };
  } catch (cause) {
    const error = supervisor.isStopping
      ? stoppedError('The reload was given up')
      : await failed(supervisor, cause, before, replaced);
    const { replaced: left = 0, rolledBack = 0 } = /** @type {any} */ (error);
    supervisor.emit('reload', {
      ok: false,
      replaced: left,
      rolledBack,
      duration: Date.now() - begun,
      error,
    });
    supervisor.log('error', 'reload', error.message, { replaced: left, rolledBack });
    throw error;
  } finally {
    if (supervisor.state === 'reloading') supervisor.setState('running');
  }
}

/**
 * Puts new workers into some places. None of the old ones goes before all of the new ones are ready.
 * @param {Supervisor} supervisor
 * @param {Place[]} places
 * @returns {Promise<Place[]>} those whose old worker has ended
 */
async function putIn(supervisor, places) {
  const open = () => places.filter((place) => !place.isClosed);
  try {
    await Promise.all(
      open().map((place) =>
        place.prepare(supervisor.current()).catch((error) => {
          // Closed meanwhile, by `scale`, with all that were in it.
          if (!place.isClosed) throw error;
        }),
      ),
    );
    const gone = open().find(({ next }) => next === undefined);
    if (gone !== undefined) throw giveUpError(`worker ${gone.id} ${gone.lastExit?.reason}`, gone.lastExit);
  } catch (error) {
    await Promise.all(places.map((place) => place.discard('the reload was given up')));
    throw error;
  }
  const taken = open();
  await settleAll(taken.map((place) => place.takeOver('reload')));
  return taken;
}

/**
 * A new worker has failed: the old set is to serve.
 * @param {Supervisor} supervisor
 * @param {any} cause
 * @param {Supervisor['template']} before
 * @param {Place[]} replaced
 */
async function failed(supervisor, { reason, exit, message }, before, replaced) {
  const back = replaced.length === 0 ? 0 : await rollBack(supervisor, before, replaced);
  const left = replaced.length - back;
  // What is started from now on is what serves.
  if (left === 0) {
    supervisor.template = before;
    supervisor.generation = before.generation;
  }
  return reloadError(reason ?? message, exit, {
    replaced: left,
    rolledBack: back,
    of: supervisor.places.size,
  });
}

/**
 * Puts the old release back where it was replaced, if it is still to be had: a release in a directory of its own is, and so
 * is another environment. Files that were overwritten are not.
 * @param {Supervisor} supervisor
 * @param {Supervisor['template']} before
 * @param {Place[]} replaced
 * @returns {Promise<number>} in how many places it serves again
 */
async function rollBack(supervisor, before, replaced) {
  const isSame = isDeepStrictEqual({ ...before, generation: 0 }, { ...supervisor.template, generation: 0 });
  if (isSame) return 0;
  const fresh = supervisor.template;
  // One that ends meanwhile comes back with the old release, too.
  supervisor.template = before;
  let back = 0;
  for (const place of replaced) {
    if (place.isClosed || supervisor.isStopping) continue;
    try {
      await place.replace(supervisor.current(), 'the reload was given up');
      back++;
    } catch (error) {
      const { message } = /** @type {Error} */ (error);
      supervisor.log('error', 'reload', `worker ${place.id} could not be put back: ${message}`, {
        id: place.id,
      });
      supervisor.template = fresh;
      return back;
    }
  }
  return back;
}

module.exports = { roll };
