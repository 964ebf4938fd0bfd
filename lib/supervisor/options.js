'use strict';
// @ts-check

// The options of `supervise`: checked, with their defaults, as one frozen object.

const fs = require('node:fs');
const path = require('node:path');

const { availableParallelism } = require('../cluster/processors');
const { extraOptions, nativeExtras } = require('../child_process/extras');
const {
  codedError,
  validateArray,
  validateBoolean,
  validateFunction,
  validateInteger,
  validateObject,
  validateOneOf,
  validateString,
} = require('../errors');
const { logicalDirectory } = require('./directory');
const { nearest } = require('./nearest');

const MAX_TIME = 2 ** 31 - 1;
const MAX_INSTANCES = 1024;
const UNITS = /** @type {Record<string, number>} */ ({ b: 1, kb: 2 ** 10, mb: 2 ** 20, gb: 2 ** 30 });
const EXTENSIONS = ['', '.js', '.cjs', '.mjs', '.json', '.node'];

/** @typedef {(value: any, name: string) => any} Read checks a value and gives it in the form that is used */

/** @type {Read} */
const string = (value, name) => (validateString(value, name), value);
/** @type {Read} */
const boolean = (value, name) => (validateBoolean(value, name), value);
/** @type {Read} */
const anything = (value) => value;
/** @type {Read} */
const time = (value, name) => (validateInteger(value, name, 0, MAX_TIME), value);
/** @type {Read} */
const count = (value, name) => (validateInteger(value, name, 0, Number.MAX_SAFE_INTEGER), value);
/** @type {(...allowed: any[]) => Read} */
const oneOf =
  (...allowed) =>
  (value, name) => (validateOneOf(value, name, allowed), value);
/** @type {Read} */
const strings = (value, name) => {
  validateArray(value, name);
  value.forEach((/** @type {any} */ item, /** @type {number} */ at) =>
    validateString(item, `${name}[${at}]`),
  );
  return [...value];
};

/** @param {number} min @param {number} max @returns {Read} */
const number = (min, max) => (value, name) => {
  if (typeof value !== 'number') throw codedError('ERR_INVALID_ARG_TYPE', name, 'number', value);
  if (!(value >= min && value <= max))
    throw codedError('ERR_OUT_OF_RANGE', name, `>= ${min} && <= ${max}`, value);
  return value;
};

/** Bytes, also as '512mb'. @type {Read} */
const bytes = (value, name) => {
  if (typeof value !== 'string') return count(value, name);
  const [, digits, unit = 'b'] = /^(\d+(?:\.\d+)?)\s*([kmg]?b)$/i.exec(value.trim()) ?? [];
  if (digits === undefined)
    throw codedError('ERR_INVALID_ARG_VALUE', name, value, "must be bytes or like '512mb'");
  return Math.round(Number(digits) * UNITS[unit.toLowerCase()]);
};

/** An object of options of its own. @param {Record<string, Read>} readers @returns {Read} */
const object = (readers) => (value, name) => {
  validateObject(value, name);
  return readAll(value, readers, `${name}.`);
};

/** @type {Read} */
const instances = (value, name) => {
  if (value === 'max') return availableParallelism();
  if (typeof value !== 'number') throw codedError('ERR_INVALID_ARG_TYPE', name, ["'max'", 'number'], value);
  validateInteger(value, name, 1, MAX_INSTANCES);
  return value;
};

/** @type {Read} */
const environment = (value, name) => {
  if (typeof value !== 'function') validateObject(value, name);
  return value;
};

/** @type {Read} */
const policy = (value, name) => {
  // Only here: an option that is not given is checked without the engine.
  const { isPolicy } = require('../cluster/scheduling');
  if (!isPolicy(value))
    throw codedError('ERR_INVALID_ARG_VALUE', name, value, 'must be one of cluster.SCHED_*');
  return value;
};

/** @type {Read} */
const probe = (value, name) => {
  if (typeof value === 'function') return { fn: value };
  const read = object({
    fn: (fn, at) => (validateFunction(fn, at), fn),
    http: string,
    port: (port, at) => (validateInteger(port, at, 1, 65535), port),
    interval: (ms, at) => (validateInteger(ms, at, 1, MAX_TIME), ms),
    timeout: (ms, at) => (validateInteger(ms, at, 1, MAX_TIME), ms),
    failures: (times, at) => (validateInteger(times, at, 1), times),
  })(value, name);
  if ((read.fn === undefined) === (read.http === undefined)) {
    throw codedError('ERR_INVALID_ARG_VALUE', name, value, 'must have either fn or http');
  }
  return read;
};

/** Every option. @type {Record<string, Read>} */
const readers = {
  exec: string,
  args: strings,
  instances,
  name: string,
  cwd: string,
  env: environment,
  envFile: string,
  execArgv: strings,
  restart: oneOf('permanent', 'transient', 'temporary'),
  intensity: count,
  period: time,
  appIntensity: count,
  backoff: object({ min: time, max: time, factor: number(1, 100), jitter: number(0, 1) }),
  stopTimeout: time,
  drainDelay: time,
  idleGrace: time,
  readyTimeout: (value, name) => (validateInteger(value, name, 1, MAX_TIME), value),
  waitReady: oneOf(true, false, 'listening', 'online'),
  reloadConcurrency: (value, name) => (validateInteger(value, name, 1, MAX_INSTANCES), value),
  recycle: object({
    requests: count,
    jitter: number(0, 1),
    age: time,
    rss: bytes,
    heap: (value, name) =>
      typeof value === 'number' && value <= 1 ? number(0, 1)(value, name) : bytes(value, name),
  }),
  maxOldSpaceMb: (value, name) => (validateInteger(value, name, 1, 2 ** 24), value),
  hangTimeout: time,
  probe,
  scale: object({
    min: (value, name) => (validateInteger(value, name, 1, MAX_INSTANCES), value),
    max: instances,
    target: number(0.01, 1),
    upAfter: time,
    downAfter: time,
  }),
  schedulingPolicy: policy,
  affinity: anything,
  stdio: anything,
  silent: boolean,
  serialization: oneOf('json', 'advanced'),
  inspectPort: anything,
  uid: anything,
  gid: anything,
  windowsHide: boolean,
  signals: boolean,
};
for (const name of extraOptions) readers[name] ??= anything;
// What the supervisor does itself.
for (const name of ['killTree', 'killAfter', 'closeGrace', 'dieWithParent']) delete readers[name];

const optionNames = Object.freeze(Object.keys(readers));

const defaults = {
  args: [],
  execArgv: [],
  restart: 'permanent',
  intensity: 5,
  period: 30_000,
  stopTimeout: 30_000,
  drainDelay: 0,
  idleGrace: 5000,
  readyTimeout: 30_000,
  reloadConcurrency: 1,
  hangTimeout: 30_000,
  signals: true,
};
const backoffDefaults = { min: 100, max: 10_000, factor: 2, jitter: 0.2 };
const probeDefaults = { interval: 10_000, timeout: 2000, failures: 3 };
const scaleDefaults = { target: 0.7, upAfter: 5000, downAfter: 60_000 };
/** What an instance of an application with a heap limit may use of it before it is replaced. */
const HEAP_SHARE = 0.9;

/**
 * @param {any} given
 * @param {Record<string, Read>} known
 * @param {string} prefix of names in errors
 */
function readAll(given, known, prefix) {
  /** @type {Record<string, any>} */
  const read = {};
  for (const name of Object.keys(given)) {
    if (!Object.hasOwn(known, name)) throw unknownOption(prefix, name, Object.keys(known));
    if (given[name] !== undefined) read[name] = known[name](given[name], `${prefix}${name}`);
  }
  return read;
}

/** @param {string} prefix @param {string} name @param {string[]} known */
function unknownOption(prefix, name, known) {
  const near = nearest(name, known);
  const hint = near === undefined ? `known are ${known.join(', ')}` : `did you mean "${near}"?`;
  const error = new TypeError(`There is no option "${prefix}${name}": ${hint}`);
  return Object.assign(error, { code: 'ERR_RCLUSTER_OPTION', option: `${prefix}${name}`, nearest: near });
}

/**
 * The file that Node would run, with the symbolic links that lead to it.
 * @param {string} exec
 * @param {string} directory
 */
function findScript(exec, directory) {
  const file = path.resolve(directory, exec);
  for (const extension of EXTENSIONS) {
    if (fs.statSync(file + extension, { throwIfNoEntry: false })?.isFile()) return file + extension;
  }
  if (fs.statSync(file, { throwIfNoEntry: false })?.isDirectory()) {
    try {
      require.resolve(file);
      return file;
    } catch {
      // It has no index.
    }
  }
  const error = new Error(
    `Cannot find the script "${exec}" (${file}): give "exec" the path of a file to run`,
  );
  throw Object.assign(error, { code: 'ERR_RCLUSTER_NO_SCRIPT', path: file });
}

/**
 * The options as they are used. Throws for what is unknown, of a wrong type or out of range, and where there is no
 * script to run.
 * @param {any} given
 */
function checkOptions(given) {
  validateObject(given, 'options');
  const read = readAll(given, readers, 'options.');
  if (read.exec === undefined) validateString(read.exec, 'options.exec');

  const options = /** @type {Record<string, any>} */ ({ ...defaults, ...read });
  options.backoff = { ...backoffDefaults, ...read.backoff };
  if (options.backoff.max < options.backoff.min) {
    if (read.backoff?.max === undefined) options.backoff.max = options.backoff.min;
    else
      throw codedError(
        'ERR_OUT_OF_RANGE',
        'options.backoff.max',
        '>= options.backoff.min',
        options.backoff.max,
      );
  }
  options.recycle = { jitter: 0.1, ...read.recycle };
  if (options.maxOldSpaceMb !== undefined) options.recycle.heap ??= HEAP_SHARE;
  if (options.probe) options.probe = { ...probeDefaults, ...options.probe };
  if (options.scale) {
    options.scale = { min: 1, max: availableParallelism(), ...scaleDefaults, ...options.scale };
    const { min, max } = options.scale;
    if (max < min) throw codedError('ERR_OUT_OF_RANGE', 'options.scale.max', '>= options.scale.min', max);
    options.instances ??= min;
  }
  options.instances ??= availableParallelism();
  options.appIntensity ??= Math.min(options.intensity * options.instances, Number.MAX_SAFE_INTEGER);
  // Throws for what is wrong with them; those lists are one for each worker.
  nativeExtras({ ...options, affinity: undefined });

  options.startDirectory = logicalDirectory();
  options.script = findScript(options.exec, options.startDirectory);
  options.name ??= path.basename(options.script).replace(/\.[cm]?[jt]s$/, '');
  if (options.envFile !== undefined) readEnvFile(path.resolve(options.startDirectory, options.envFile));
  return Object.freeze(options);
}

/**
 * The variables of an environment file: NAME=value lines, '#' comments, quotes as in a shell.
 * @param {string} file
 */
function readEnvFile(file) {
  let text;
  try {
    text = fs.readFileSync(file, 'utf8');
  } catch (error) {
    const { code } = /** @type {NodeJS.ErrnoException} */ (error);
    const failure = new Error(`Cannot read the environment file "${file}" (${code})`);
    throw Object.assign(failure, { code, path: file });
  }
  /** @type {Record<string, string>} */
  const variables = {};
  for (const line of text.split(/\r?\n/)) {
    const [, name, raw] = /^\s*(?:export\s+)?([A-Za-z_][\w.-]*)\s*=\s*(.*)$/.exec(line) ?? [];
    if (name === undefined) continue;
    const [, quote, quoted] = /^(['"`])(.*)\1\s*(?:#.*)?$/.exec(raw) ?? [];
    if (quote === undefined) variables[name] = raw.replace(/\s+#.*$/, '').trim();
    else variables[name] = quote === '"' ? quoted.replaceAll('\\n', '\n') : quoted;
  }
  return variables;
}

module.exports = { MAX_INSTANCES, checkOptions, findScript, optionNames, readEnvFile };
