'use strict';
// @ts-check

// Figures as text: OpenMetrics 1.0, and the older format of Prometheus. https://prometheus.io/docs/specs/om/

const { version } = require('../../package.json');

const OPEN_METRICS_TYPE = 'application/openmetrics-text; version=1.0.0; charset=utf-8';
const PROMETHEUS_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

/**
 * @typedef {object} Sample
 * @property {string} [suffix] behind the name of the family, as in `_bucket`
 * @property {Record<string, string | number>} [labels]
 * @property {number} value
 */

/**
 * A metric and its samples.
 * @typedef {object} Family
 * @property {string} name of a counter: without `_total`
 * @property {string} [plainName] of a counter in the older format, if not with `_total`
 * @property {string} help
 * @property {'counter' | 'gauge' | 'histogram' | 'summary' | 'info' | 'unknown'} type
 * @property {string} [unit]
 * @property {Sample[]} samples
 */

/** What there is of each worker: name, type, help, figure. @type {Array<[string, 'counter' | 'gauge', string, (worker: any) => any]>} */
const ofWorkers = [
  ['uptime_seconds', 'gauge', 'Time since its process started', (worker) => worker.uptime],
  [
    'restarts',
    'counter',
    'How often its place was filled anew after an unwanted end',
    (worker) => worker.restarts,
  ],
  ['cpu_user_seconds', 'counter', 'Processor time in user mode', (worker) => worker.cpu?.user],
  ['cpu_system_seconds', 'counter', 'Processor time in the kernel', (worker) => worker.cpu?.system],
  ['resident_memory_bytes', 'gauge', 'Memory in use (RSS)', (worker) => worker.rss],
  [
    'proportional_memory_bytes',
    'gauge',
    'Memory in use, shared pages in parts (PSS)',
    (worker) => worker.pss,
  ],
  ['heap_used_bytes', 'gauge', "V8's heap, in use", (worker) => worker.heap?.used],
  ['heap_total_bytes', 'gauge', "V8's heap, allocated", (worker) => worker.heap?.total],
  ['heap_limit_bytes', 'gauge', 'What it may grow to', (worker) => worker.heap?.limit],
  [
    'external_memory_bytes',
    'gauge',
    'Memory of objects of C++ that V8 keeps alive',
    (worker) => worker.heap?.external,
  ],
  [
    'event_loop_utilization_ratio',
    'gauge',
    'Share of time its event loop does not wait',
    (worker) => worker.eventLoop?.utilization,
  ],
  [
    'event_loop_delay_mean_seconds',
    'gauge',
    'Delay of its event loop, mean',
    (worker) => worker.eventLoop?.delay?.mean,
  ],
  [
    'event_loop_delay_p50_seconds',
    'gauge',
    'Delay of its event loop, median',
    (worker) => worker.eventLoop?.delay?.p50,
  ],
  [
    'event_loop_delay_p99_seconds',
    'gauge',
    'Delay of its event loop, 99th percentile',
    (worker) => worker.eventLoop?.delay?.p99,
  ],
  [
    'event_loop_delay_max_seconds',
    'gauge',
    'Delay of its event loop, longest',
    (worker) => worker.eventLoop?.delay?.max,
  ],
  [
    'event_loop_silent_seconds',
    'gauge',
    'Time since its event loop turned',
    (worker) => worker.silentFor / 1000,
  ],
  ['gc_runs', 'counter', 'Garbage collections', (worker) => worker.gc?.count],
  ['gc_seconds', 'counter', 'Time they took', (worker) => worker.gc?.time],
  ['connections_open', 'gauge', 'Connections that are open', (worker) => worker.connections?.open],
  ['connections_pending', 'gauge', 'Connections on their way to it', (worker) => worker.connections?.pending],
  ['connections', 'counter', 'Connections it has got', (worker) => worker.connections?.total],
  ['requests_active', 'gauge', 'HTTP requests under way', (worker) => worker.requests?.active],
  ['requests', 'counter', 'HTTP requests it has got', (worker) => worker.requests?.total],
];

/**
 * The figures of a supervisor and its workers.
 * @param {any} metrics what `supervisor.metrics()` gives
 * @param {{ name: string, droppedLogBytes?: number }} about
 * @returns {Family[]}
 */
function families({ supervisor, workers }, { name, droppedLogBytes }) {
  /** @param {string} of @param {Family['type']} type @param {string} help @param {Sample[]} samples @returns {Family} */
  const family = (of, type, help, samples) => ({
    name: `rcluster_${of}`,
    type,
    help,
    samples: samples.filter(isKnown),
  });
  const one = (/** @type {number} */ value) => [{ value }];
  const states = Object.entries(supervisor.workers ?? {});
  const own = [
    family('build', 'info', 'What runs', [
      { suffix: '_info', labels: { version, node: process.version, name }, value: 1 },
    ]),
    family(
      'workers',
      'gauge',
      'Workers in each state',
      states.map(([state, value]) => ({ labels: { state }, value })),
    ),
    family('restarts', 'counter', 'Workers started anew after an unwanted end', one(supervisor.restarts)),
    family('reloads', 'counter', 'Reloads', one(supervisor.reloads)),
    family('hangs', 'counter', 'Workers replaced because they hung', one(supervisor.hangs)),
    family('give_ups', 'counter', 'Crash loops that were ended', one(supervisor.giveUps)),
    family(
      'log_dropped_bytes',
      'counter',
      'Output of workers that could not be written',
      one(/** @type {number} */ (droppedLogBytes)),
    ),
    family('supervisor_uptime_seconds', 'gauge', 'Time since the supervisor started', one(supervisor.uptime)),
    family(
      'supervisor_cpu_user_seconds',
      'counter',
      'Its processor time in user mode',
      one(supervisor.cpu?.user),
    ),
    family(
      'supervisor_cpu_system_seconds',
      'counter',
      'Its processor time in the kernel',
      one(supervisor.cpu?.system),
    ),
    family('supervisor_resident_memory_bytes', 'gauge', 'Its memory (RSS)', one(supervisor.rss)),
    family('supervisor_heap_used_bytes', 'gauge', "Its V8's heap, in use", one(supervisor.heapUsed)),
  ];
  const latest = latestOf(workers);
  const each = ofWorkers.map(([of, type, help, figure]) =>
    family(
      `worker_${of}`,
      type,
      help,
      latest.map((worker) => ({ labels: { worker: worker.id }, value: figure(worker) })),
    ),
  );
  return [...own, ...each].filter(({ samples }) => samples.length > 0);
}

/** Of a place where one process follows another, the one that stays. @param {any[]} workers @returns {any[]} */
function latestOf(workers) {
  const latest = new Map();
  for (const worker of workers) {
    const known = latest.get(worker.id);
    if (known === undefined || known.uptime > worker.uptime) latest.set(worker.id, worker);
  }
  return [...latest.values()].sort((a, b) => a.id - b.id);
}

/** @param {Sample} sample */
function isKnown({ value }) {
  return typeof value === 'number' && !Number.isNaN(value);
}

/**
 * @param {Family[]} all
 * @param {boolean} isOpenMetrics or else the older format
 */
function render(all, isOpenMetrics) {
  const text = all.map((family) => renderFamily(family, isOpenMetrics)).join('');
  return isOpenMetrics ? `${text}# EOF\n` : text;
}

/** @param {Family} family @param {boolean} isOpenMetrics */
function renderFamily({ name, plainName, help, type, samples }, isOpenMetrics) {
  // In the older format the name of a counter includes its ending, and there are no infos.
  const ending = { counter: '_total', info: '_info' }[/** @type {string} */ (type)] ?? '';
  const shownName = isOpenMetrics ? name : (plainName ?? name + ending);
  const shownType = isOpenMetrics
    ? type
    : ({ info: 'gauge', unknown: 'untyped' }[/** @type {string} */ (type)] ?? type);
  const lines = [`# HELP ${shownName} ${escape(help, isOpenMetrics)}`, `# TYPE ${shownName} ${shownType}`];
  for (const { suffix, labels = {}, value } of samples) {
    const sampleName =
      type === 'counter' ? (isOpenMetrics ? name + ending : shownName) : name + (suffix ?? '');
    const pairs = Object.entries(labels).map(([label, text]) => `${label}="${escape(String(text), true)}"`);
    lines.push(`${sampleName}${pairs.length > 0 ? `{${pairs.join(',')}}` : ''} ${number(value)}`);
  }
  return `${lines.join('\n')}\n`;
}

/** @param {string} text @param {boolean} quotes whether quotes are escaped too */
function escape(text, quotes) {
  const escaped = text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
  return quotes ? escaped.replaceAll('"', '\\"') : escaped;
}

/** @param {number} value */
function number(value) {
  if (value === Infinity) return '+Inf';
  if (value === -Infinity) return '-Inf';
  return String(value);
}

module.exports = { OPEN_METRICS_TYPE, PROMETHEUS_TYPE, families, render };
