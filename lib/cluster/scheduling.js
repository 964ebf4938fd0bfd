// @ts-check
'use strict';

// How connections are shared out, as the user chooses it: the policy, a worker's weight and pauses, and what is
// known of each worker's load.

const { codedError, validateInteger } = require('../errors');
const { engine } = require('../native');
const handoff = require('./handoff');
const constants = require('./policies');

/** @type {any} */
const cluster = require('node:cluster');

const { SCHED_NONE, SCHED_RR } = cluster;

const { SCHED_LEAST_CONN, SCHED_LEAST_LOAD, SCHED_STICKY, SCHED_REUSEPORT } = constants;
const policies = [SCHED_NONE, SCHED_RR, ...Object.values(constants)];

/** What NODE_CLUSTER_SCHED_POLICY may say, beyond Node's own `rr` and `none`. @type {Record<string, number>} */
const names = {
  // @ts-expect-error: null prototype, as the name comes from outside.
  __proto__: null,
  'least-conn': SCHED_LEAST_CONN,
  'least-load': SCHED_LEAST_LOAD,
  sticky: SCHED_STICKY,
  reuseport: SCHED_REUSEPORT,
};

const MAX_WEIGHT = 1000;

/** @typedef {{ weight: number, isPaused: boolean }} Tuning */
/** @type {WeakMap<object, Tuning>} */
const tunings = new WeakMap();

/** Whether a value is one of the policies. @param {unknown} policy */
function isPolicy(policy) {
  return policies.includes(policy);
}

/** Whether each worker accepts by itself, on a socket that is all workers' or its own. @param {number} policy */
function isByKernel(policy) {
  return policy === SCHED_NONE || policy === SCHED_REUSEPORT;
}

/** @param {object} worker @returns {Tuning} */
function tuningOf(worker) {
  return tunings.get(worker) ?? { weight: 1, isPaused: false };
}

/** @param {any} worker @param {Partial<Tuning>} change */
function tune(worker, change) {
  const tuning = { ...tuningOf(worker), ...change };
  tunings.set(worker, tuning);
  handoff.tune(worker, tuning.weight, tuning.isPaused);
}

/** What of `Worker.prototype` is ours alone. */
const workerExtras = {
  get weight() {
    return tuningOf(this).weight;
  },

  set weight(weight) {
    validateInteger(weight, 'worker.weight', 1, MAX_WEIGHT);
    tune(this, { weight });
  },

  get isPaused() {
    return tuningOf(this).isPaused;
  },

  pause() {
    tune(this, { isPaused: true });
    return this;
  },

  resume() {
    tune(this, { isPaused: false });
    return this;
  },

  get load() {
    return loadOf(this);
  },
};

/** A worker's load as it told itself; undefined where it cannot tell. @param {any} worker */
function loadOf(worker) {
  const numbers = handoff.loadNumbers(worker);
  if (numbers.length === 0) return undefined;
  const [adopted, open, pending, utilization, silentFor, heapUsed] = numbers;
  return {
    adopted,
    open,
    closed: adopted - open,
    pending,
    utilization: utilization / 1000,
    silentFor,
    rss: worker.isDead() ? 0 : engine.residentMemory(worker.process.pid),
    heapUsed,
  };
}

/** The load of each worker that can tell it, by the worker's number. */
function loads() {
  /** @type {Record<string, ReturnType<typeof loadOf>>} */
  const all = {};
  for (const worker of Object.values(cluster.workers)) {
    const load = loadOf(worker);
    if (load !== undefined) all[worker.id] = load;
  }
  return all;
}

/** Checks a policy that the user has given. @param {any} policy */
function validatePolicy(policy) {
  if (!isPolicy(policy)) {
    throw codedError(
      'ERR_INVALID_ARG_VALUE',
      'settings.schedulingPolicy',
      policy,
      'must be one of cluster.SCHED_*',
    );
  }
}

/** Adds to Node's objects. */
function install() {
  Object.assign(cluster, { loads });
  Object.defineProperties(cluster.Worker.prototype, Object.getOwnPropertyDescriptors(workerExtras));
  const named = names[process.env.NODE_CLUSTER_SCHED_POLICY ?? ''];
  if (named !== undefined) cluster.schedulingPolicy = named;
}

module.exports = { SCHED_REUSEPORT, install, isByKernel, isPolicy, validatePolicy };
