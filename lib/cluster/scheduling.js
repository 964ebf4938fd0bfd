'use strict';
// @ts-check

// How connections are shared out, as the user chooses it: the policy, a worker's weight and pauses, and what is
// known of each worker's load.

const { codedError, validateInteger, validateOneOf } = require('../errors');
const { engine } = require('../native');
const { policies: ours } = require('./policies');
const handoff = require('./handoff');

/** @type {any} */
const cluster = require('node:cluster');

const { SCHED_NONE, SCHED_RR } = cluster;

const { SCHED_LEAST_CONN, SCHED_LEAST_LOAD, SCHED_STICKY, SCHED_REUSEPORT } = ours;
const policies = [SCHED_NONE, SCHED_RR, ...Object.values(ours)];

/** What NODE_CLUSTER_SCHED_POLICY may say, beyond Node's own `rr` and `none`. @type {Record<string, number>} */
const names = {
  // @ts-expect-error: null prototype, as the name comes from outside.
  __proto__: null,
  'least-conn': SCHED_LEAST_CONN,
  'least-load': SCHED_LEAST_LOAD,
  sticky: SCHED_STICKY,
  reuseport: SCHED_REUSEPORT,
};

/** Where `SCHED_STICKY` finds the client's address; the numbers are those of src/binding/cluster/primary.rs. */
const stickyBys = ['address', 'proxy', 'x-forwarded-for'];
/** How long a connection may take to say whose it is, in milliseconds. */
const DEFAULT_STICKY_TIMEOUT = 1000;
const MAX_STICKY_TIMEOUT = 60_000;

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

/** What of `Worker.prototype` is ours alone; install.js has the same names. */
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

/** Checks what the user has said of `SCHED_STICKY`. @param {any} settings */
function validateSticky({ stickyBy, stickyTimeout } = {}) {
  if (stickyBy !== undefined) validateOneOf(stickyBy, 'settings.stickyBy', stickyBys);
  if (stickyTimeout !== undefined) {
    validateInteger(stickyTimeout, 'settings.stickyTimeout', 1, MAX_STICKY_TIMEOUT);
  }
}

/** How a listener shares out from now on. @param {number} policy @returns {import('./handoff').Sharing} */
function sharing(policy) {
  const { stickyBy = 'address', stickyTimeout = DEFAULT_STICKY_TIMEOUT } = cluster.settings;
  return { policy, stickyBy: stickyBys.indexOf(stickyBy), stickyTimeout };
}

/** Chooses the policy that NODE_CLUSTER_SCHED_POLICY names; Node has seen to its own two. */
function applyEnvironment() {
  const named = names[process.env.NODE_CLUSTER_SCHED_POLICY ?? ''];
  if (named !== undefined) cluster.schedulingPolicy = named;
}

module.exports = {
  SCHED_REUSEPORT,
  applyEnvironment,
  isByKernel,
  isPolicy,
  loads,
  sharing,
  validatePolicy,
  validateSticky,
  workerExtras,
};
