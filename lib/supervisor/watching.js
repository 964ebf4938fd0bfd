'use strict';
// @ts-check

// What the engine tells of the workers it watches, for the supervisor that they belong to.

const { engine, kinds, on } = require('../native');

/**
 * @typedef {InstanceType<typeof import('./supervisor').Supervisor>} Supervisor
 */

/** What is wrong with a worker: `Trouble` in src/supervise/health.rs. */
const TROUBLES = Object.freeze(['hang', 'rss', 'heap', 'requests']);
const KIB = 1024;
const RESTARTS = Object.freeze({ permanent: 0, transient: 1, temporary: 2 });

/** @type {Map<number, Supervisor>} */
const supervisors = new Map();

/** The supervisor, place and run of a watched worker. @param {number} watch */
function find(watch) {
  for (const supervisor of supervisors.values()) {
    for (const place of supervisor.allPlaces()) {
      const run = place.runs().find((run) => run.watch === watch);
      if (run !== undefined) return { supervisor, place, run };
    }
  }
  return undefined;
}

on(kinds.SUPERVISE_HUNG, (watch, silentFor, letter) => {
  const found = find(watch);
  found?.supervisor.onHung(found.place, found.run, silentFor, String.fromCharCode(letter));
});
on(kinds.SUPERVISE_KILLED, (watch) => {
  const found = find(watch);
  if (found === undefined) return;
  const { supervisor, place, run } = found;
  run.why = `${run.why ?? 'stopping'}, killed at its deadline`;
  supervisor.log(
    'warn',
    'worker:killed',
    `worker ${place.id} (pid ${run.pid}) has not ended in time and was killed`,
  );
});
on(kinds.SUPERVISE_OVER, (watch, trouble, value) => {
  const found = find(watch);
  if (found === undefined) return;
  const reason = TROUBLES[trouble];
  const { recycle } = found.supervisor.options;
  found.place.recycle(found.run, reason, reason === 'requests' ? value : value * KIB, recycle[reason]);
});
on(kinds.SUPERVISE_SCALE, (group, count, use) => supervisors.get(group)?.onRule(count, use / 1000));

/** Has a supervisor told of its workers. @param {Supervisor} supervisor */
function enter(supervisor) {
  const { group, options } = supervisor;
  const { restart, intensity, appIntensity, period, backoff } = options;
  supervisors.set(group, supervisor);
  engine.superviseHold(true);
  engine.supervisePolicy(
    group,
    RESTARTS[/** @type {keyof typeof RESTARTS} */ (restart)],
    Math.min(intensity, 2 ** 31),
    Math.min(appIntensity, 2 ** 31),
    period,
    backoff.min,
    backoff.max,
    backoff.factor,
    backoff.jitter,
  );
}

/** By what rule their number is to change, if by any. @param {Supervisor} supervisor */
function updateRule({ options, group, instances }) {
  const { scale } = options;
  if (!scale) return;
  const { min, max, target, upAfter, downAfter } = scale;
  engine.superviseGroup(group, instances, min, max, target, upAfter, downAfter);
}

/** @param {Supervisor} supervisor */
function leave({ group }) {
  supervisors.delete(group);
  engine.superviseForget(group);
  if (supervisors.size === 0) engine.superviseHold(false);
}

module.exports = { enter, leave, updateRule };
