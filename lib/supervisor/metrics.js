'use strict';
// @ts-check

// What workers and supervisor use, from the kernel and from the memory that workers share with the primary: no worker's
// JavaScript is asked, so that a worker that is stuck has its numbers too.

const handoff = require('../cluster/handoff');
const { engine } = require('../native');
const { placeOf } = require('./numbers');

/** @typedef {InstanceType<typeof import('./run').Run>} Run */

/** @param {number[]} numbers @param {string} name */
const told = (numbers, name) => numbers[placeOf(name)] ?? 0;

/** What the kernel says of a worker that runs. @param {Run} run @returns {number[]} */
function sampleOf({ exit, pid }) {
  return exit === undefined && pid !== undefined ? engine.superviseSample(pid) : [];
}

/** Numbers of a worker that only ever grow: those stay in the sums when it has ended. @param {Run} run */
function countsOf(run) {
  const numbers = run.numbers();
  const [adopted = 0] = handoff.loadNumbers(run.worker);
  const usage = run.process.resourceUsage?.();
  const sample = sampleOf(run);
  return {
    user: sample[0] ?? (usage?.userCPUTime ?? 0) / 1e6,
    system: sample[1] ?? (usage?.systemCPUTime ?? 0) / 1e6,
    gcCount: told(numbers, 'gcCount'),
    gcTime: told(numbers, 'gcTime'),
    connections: adopted,
    requests: told(numbers, 'requests'),
  };
}

/** @param {any} supervisor @param {any} place @param {Run} run @param {boolean} pss */
function workerMetrics(supervisor, place, run, pss) {
  const numbers = run.numbers();
  const counts = countsOf(run);
  const [, open = 0, pending = 0, utilization = 0, silentFor = 0] = handoff.loadNumbers(run.worker);
  const isAlive = run.exit === undefined && run.pid !== undefined;
  const share = pss && isAlive ? engine.supervisePss(run.pid ?? -1) : -1;
  return {
    id: place.id,
    pid: run.pid,
    state: run.state,
    generation: run.generation,
    uptime: (Date.now() - run.startedAt) / 1000,
    restarts: place.restarts,
    cpu: { user: counts.user, system: counts.system },
    rss: sampleOf(run)[2] ?? 0,
    ...(share >= 0 ? { pss: share } : {}),
    heap: {
      used: told(numbers, 'heapUsed'),
      total: told(numbers, 'heapTotal'),
      limit: told(numbers, 'heapLimit'),
      external: told(numbers, 'external'),
    },
    eventLoop: {
      utilization: utilization / 1000,
      delay: {
        mean: told(numbers, 'delayMean'),
        p50: told(numbers, 'delayP50'),
        p99: told(numbers, 'delayP99'),
        max: told(numbers, 'delayMax'),
      },
    },
    gc: { count: counts.gcCount, time: counts.gcTime },
    connections: { open, total: counts.connections, pending },
    requests: { total: counts.requests, active: told(numbers, 'active') },
    silentFor,
  };
}

/** @param {any[]} workers @param {Record<string, number>} past */
function total(workers, past) {
  const sum = (/** @type {(worker: any) => number} */ of) =>
    workers.reduce((all, worker) => all + of(worker), 0);
  const worst = (/** @type {(worker: any) => number} */ of) =>
    workers.reduce((all, worker) => Math.max(all, of(worker)), 0);
  const ever = (/** @type {string} */ name, /** @type {(worker: any) => number} */ of) =>
    (past[name] ?? 0) + sum(of);
  return {
    cpu: { user: ever('user', ({ cpu }) => cpu.user), system: ever('system', ({ cpu }) => cpu.system) },
    rss: sum(({ rss }) => rss),
    ...(workers.some(({ pss }) => pss !== undefined) ? { pss: sum(({ pss }) => pss ?? 0) } : {}),
    heap: {
      used: sum(({ heap }) => heap.used),
      total: sum(({ heap }) => heap.total),
      limit: sum(({ heap }) => heap.limit),
      external: sum(({ heap }) => heap.external),
    },
    eventLoop: {
      utilization: workers.length === 0 ? 0 : sum(({ eventLoop }) => eventLoop.utilization) / workers.length,
      delay: {
        mean: worst(({ eventLoop }) => eventLoop.delay.mean),
        p50: worst(({ eventLoop }) => eventLoop.delay.p50),
        p99: worst(({ eventLoop }) => eventLoop.delay.p99),
        max: worst(({ eventLoop }) => eventLoop.delay.max),
      },
    },
    gc: { count: ever('gcCount', ({ gc }) => gc.count), time: ever('gcTime', ({ gc }) => gc.time) },
    connections: {
      open: sum(({ connections }) => connections.open),
      total: ever('connections', ({ connections }) => connections.total),
      pending: sum(({ connections }) => connections.pending),
    },
    requests: {
      total: ever('requests', ({ requests }) => requests.total),
      active: sum(({ requests }) => requests.active),
    },
  };
}

/**
 * @param {any} supervisor
 * @param {{ pss?: boolean }} [options]
 */
function collect(supervisor, { pss = false } = {}) {
  const workers = supervisor
    .allPlaces()
    .flatMap((/** @type {any} */ place) =>
      place.runs().map((/** @type {Run} */ run) => workerMetrics(supervisor, place, run, pss)),
    );
  /** @type {Record<string, number>} */
  const states = { starting: 0, ready: 0, draining: 0, stopping: 0, backoff: 0, stopped: 0, hung: 0 };
  for (const { state } of supervisor.workers) states[state]++;
  const { user, system } = process.cpuUsage();
  return {
    time: Date.now(),
    supervisor: {
      pid: process.pid,
      uptime: (Date.now() - supervisor.startedAt) / 1000,
      cpu: { user: user / 1e6, system: system / 1e6 },
      rss: process.memoryUsage.rss(),
      heapUsed: process.memoryUsage().heapUsed,
      ...supervisor.counts,
      workers: states,
    },
    workers,
    total: total(workers, supervisor.past),
  };
}

module.exports = { collect, countsOf };
