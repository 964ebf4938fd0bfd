'use strict';
// @ts-check

// Options of a pool and of a task: their checks, in Piscina's words, and their defaults.

const os = require('node:os');
const { fileURLToPath } = require('node:url');

const { ArrayTaskQueue, isTaskQueue } = require('./queues');

const parallelism = os.availableParallelism();

/** Those Piscina has, in its order, then ours. */
const defaults = {
  filename: null,
  name: 'default',
  minThreads: Math.max(Math.floor(parallelism / 2), 1),
  maxThreads: parallelism * 1.5,
  idleTimeout: 0,
  maxQueue: Infinity,
  concurrentTasksPerWorker: 1,
  atomics: 'sync',
  taskQueue: undefined,
  niceIncrement: 0,
  trackUnmanagedFds: true,
  closeTimeout: 30_000,
  recordTiming: true,
  stricterFIFO: false,
  workerHistogram: false,
  runtime: 'thread',
  recycle: undefined,
};

const atomics = ['sync', 'async', 'disabled'];
const recycleKeys = ['tasks', 'age', 'heap'];

/** @param {unknown} value @param {number} least */
const isNumberFrom = (value, least) => typeof value === 'number' && value >= least;

/** What an option must be; checked where it is given. @type {[string, (value: any) => boolean, string, boolean?][]} */
const checks = [
  ['filename', (value) => typeof value === 'string', 'options.filename must be a string or null', true],
  ['name', (value) => typeof value === 'string', 'options.name must be a string or null', true],
  ['minThreads', (value) => isNumberFrom(value, 0), 'options.minThreads must be a non-negative integer'],
  ['maxThreads', (value) => isNumberFrom(value, 1), 'options.maxThreads must be a positive integer'],
];

/** Those after the one that looks at two of them. @type {typeof checks} */
const laterChecks = [
  ['idleTimeout', (value) => isNumberFrom(value, 0), 'options.idleTimeout must be a non-negative integer'],
  [
    'maxQueue',
    (value) => value === 'auto' || isNumberFrom(value, 0),
    'options.maxQueue must be a non-negative integer',
  ],
  [
    'concurrentTasksPerWorker',
    (value) => isNumberFrom(value, 1),
    'options.concurrentTasksPerWorker must be a positive integer',
  ],
  [
    'atomics',
    (value) => atomics.includes(value),
    'options.atomics should be a value of sync, sync or disabled.',
    true,
  ],
  [
    'resourceLimits',
    (value) => typeof value === 'object' && value !== null,
    'options.resourceLimits must be an object',
  ],
  ['taskQueue', isTaskQueue, 'options.taskQueue must be a TaskQueue object'],
  [
    'niceIncrement',
    (value) => isNumberFrom(value, 0),
    'options.niceIncrement must be a non-negative integer on Unix systems',
  ],
  [
    'trackUnmanagedFds',
    (value) => typeof value === 'boolean',
    'options.trackUnmanagedFds must be a boolean value',
  ],
  ['closeTimeout', (value) => isNumberFrom(value, 0), 'options.closeTimeout must be a non-negative integer'],
  [
    'loadBalancer',
    (value) => typeof value === 'function' && value.length > 0,
    'options.loadBalancer must be a function with at least two args',
  ],
  ['workerHistogram', (value) => typeof value === 'boolean', 'options.workerHistogram must be a boolean'],
  ['stricterFIFO', (value) => typeof value === 'boolean', 'options.stricterFIFO must be a boolean'],
  [
    'runtime',
    (value) => value === 'thread' || value === 'process',
    "options.runtime must be 'thread' or 'process'",
  ],
  [
    'recycle',
    (value) =>
      typeof value === 'object' &&
      value !== null &&
      Object.entries(value).every(([key, limit]) => recycleKeys.includes(key) && isNumberFrom(limit, 1)),
    'options.recycle must be an object with the positive numbers tasks, age or heap',
  ],
];

/** @param {any} options @param {typeof checks} list */
function check(options, list) {
  for (const [name, isValid, message, mayBeNull] of list) {
    const value = options[name];
    if (value === undefined || (mayBeNull && value === null)) continue;
    if (!isValid(value)) throw new TypeError(message);
  }
}

/** @param {any} options */
function validateOptions(options) {
  check(options, checks);
  const { maxThreads, minThreads } = options;
  if (minThreads !== undefined && maxThreads !== undefined && minThreads > maxThreads) {
    throw new RangeError('options.minThreads and options.maxThreads must not conflict');
  }
  check(options, laterChecks);
}

/**
 * Fills in what is not given.
 * @param {any} given validated
 */
function fillOptions(given) {
  const options = copyOf(defaults, given);
  for (const key of /** @type {(keyof typeof defaults)[]} */ (Object.keys(defaults))) {
    if (options[key] === undefined) options[key] = defaults[key];
  }
  options.filename = given.filename ? pathOf(given.filename) : null;
  options.taskQueue = given.taskQueue ?? new ArrayTaskQueue();
  const { maxThreads, minThreads } = given;
  if (maxThreads !== undefined && options.minThreads >= maxThreads) options.minThreads = maxThreads;
  if (minThreads !== undefined && options.maxThreads <= minThreads) options.maxThreads = minThreads;
  const { maxQueue } = given;
  options.maxQueue = maxQueue === 'auto' ? options.maxThreads ** 2 : (maxQueue ?? defaults.maxQueue);
  return options;
}

/** What is wrong with the options of a task, if anything. @param {any} options @returns {string | undefined} */
function taskOptionsError(options) {
  const { filename, name, priority, signal, timeout, transferList } = options;
  if (transferList !== undefined && !Array.isArray(transferList))
    return 'transferList argument must be an Array';
  if (filename != null && typeof filename !== 'string') return 'filename argument must be a string';
  if (name != null && typeof name !== 'string') return 'name argument must be a string';
  if (signal != null && typeof signal !== 'object') return 'signal argument must be an object';
  if (priority != null && !(Number.isInteger(priority) && Math.abs(priority) <= 1e6)) {
    return 'priority argument must be an integer between -1000000 and 1000000';
  }
  if (timeout != null && !isNumberFrom(timeout, 0)) return 'timeout argument must be a non-negative number';
  return undefined;
}

/** An object without a prototype, so that a polluted one sets no option. @param {...any} sources */
function copyOf(...sources) {
  return Object.assign(Object.create(null), ...sources);
}

/** @param {string} filename */
function pathOf(filename) {
  return filename.startsWith('file:') ? fileURLToPath(new URL(filename)) : filename;
}

module.exports = { copyOf, fillOptions, pathOf, taskOptionsError, validateOptions };
