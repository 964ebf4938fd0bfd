'use strict';
// @ts-check

// Workers as users see them: plain objects.

/**
 * @typedef {InstanceType<typeof import('./supervisor').Supervisor>} Supervisor
 * @typedef {InstanceType<typeof import('./place').Place>} Place
 * @typedef {InstanceType<typeof import('./run').Run>} Run
 */

/**
 * A worker that runs, or has just ended.
 * @param {Supervisor} supervisor
 * @param {Place} place
 * @param {Run} run
 * @returns {import('../../supervisor').WorkerStatus}
 */
function runStatus(supervisor, place, run) {
  const hasEnded = run.state === 'ended';
  return {
    id: place.id,
    workerId: run.worker?.id,
    pid: run.pid,
    state: run.state === 'ended' ? 'stopped' : run.state,
    restarts: place.restarts,
    uptime: hasEnded ? (run.exit?.uptime ?? 0) : Date.now() - run.startedAt,
    startedAt: run.startedAt,
    readyAt: run.readyAt,
    generation: run.generation,
    load: run.worker?.load,
    lastExit: place.lastExit,
    leader: supervisor.coordination.leader === run,
    why: run.why,
  };
}

/** @param {Supervisor} supervisor @param {Place} place @returns {import('../../supervisor').WorkerState} */
function stateOf(supervisor, place) {
  if (place.isClosed || supervisor.isStopping) return 'stopped';
  return place.lastExit === undefined ? 'starting' : 'backoff';
}

/**
 * A place that nobody is in.
 * @param {Supervisor} supervisor
 * @param {Place} place
 * @returns {import('../../supervisor').WorkerStatus}
 */
function waitingStatus(supervisor, place) {
  return {
    id: place.id,
    workerId: undefined,
    pid: undefined,
    state: stateOf(supervisor, place),
    restarts: place.restarts,
    uptime: 0,
    startedAt: undefined,
    readyAt: undefined,
    generation: supervisor.generation,
    load: undefined,
    lastExit: place.lastExit,
    nextStart: place.nextStart,
    leader: false,
    why: place.lastExit?.reason,
  };
}

/** Of all of it. @param {any} supervisor */
function supervisorStatus(supervisor) {
  const { name, state, isReady, instances, generation, counts } = supervisor;
  return {
    name,
    pid: process.pid,
    state,
    ready: isReady,
    instances,
    uptime: Date.now() - supervisor.startedAt,
    restarts: counts.restarts,
    reloads: counts.reloads,
    generation,
    exec: supervisor.template.script,
    workers: supervisor.workers,
  };
}

module.exports = { runStatus, supervisorStatus, waitingStatus };
