'use strict';
// @ts-check

// The options of the command: its flags, the keys of its config file, and what of both is for supervise().

/** @type {any} */
const { SCHED_NONE, SCHED_RR } = require('node:cluster');

const { policies: constants } = require('../cluster/policies');
const { usageError } = require('./errors');
const { nearest } = require('../supervisor/nearest');

/** Milliseconds in each unit a time may have. */
const UNITS = Object.freeze({ ms: 1, s: 1000, m: 60_000, h: 3_600_000 });

/** Of connections, by the names that NODE_CLUSTER_SCHED_POLICY has for them. @type {Readonly<Record<string, number>>} */
const policies = Object.freeze({
  rr: SCHED_RR,
  none: SCHED_NONE,
  'least-conn': constants.SCHED_LEAST_CONN,
  'least-load': constants.SCHED_LEAST_LOAD,
  sticky: constants.SCHED_STICKY,
  reuseport: constants.SCHED_REUSEPORT,
});
const POLICIES = Object.keys(policies);
const LOG_FORMATS = ['prefix', 'plain', 'json', 'inherit'];

/**
 * Flags of the run command, by the name of the option they set. Each is a key of the config file too.
 * @type {Record<string, { flags: string, about: string, parse?: (text: string, flag: string) => any }>}
 */
const flags = {
  instances: { flags: '-w, --workers <number>', about: 'how many workers, or max', parse: workers },
  name: { flags: '-n, --name <name>', about: 'what it is called in logs and metrics' },
  cwd: { flags: '--cwd <directory>', about: 'where the workers run' },
  envFile: { flags: '--env-file <file>', about: 'variables for the workers, read at each start' },
  execArgv: {
    flags: '--node-arg <argument...>',
    about: "arguments of the workers' node: --node-arg=--trace-gc",
  },
  schedulingPolicy: { flags: '--policy <name>', about: POLICIES.join(', '), parse: oneOf(POLICIES) },
  http: { flags: '--http <address>', about: 'serve health, metrics and a status page; PORT is on loopback' },
  control: { flags: '--control <path>', about: 'the control socket; by default found from this directory' },
  logFormat: { flags: '--log-format <format>', about: LOG_FORMATS.join(', '), parse: oneOf(LOG_FORMATS) },
  logTime: { flags: '--log-time', about: 'lines begin with the time' },
  logFile: {
    flags: '--log-file <file>',
    about: 'what workers print goes here; SIGUSR1 opens it anew',
  },
  errorFile: {
    flags: '--error-file <file>',
    about: 'what they print to stderr, if not there too',
  },
  waitReady: { flags: '--wait-ready', about: 'a worker is ready when it calls ready()' },
  readyTimeout: { flags: '--ready-timeout <time>', about: 'how long that may take', parse: time },
  stopTimeout: { flags: '--stop-timeout <time>', about: 'how long draining may take', parse: time },
  drainDelay: { flags: '--drain-delay <time>', about: 'unready but accepting before that', parse: time },
  hangTimeout: { flags: '--hang-timeout <time>', about: 'a stuck worker is replaced; 0: never', parse: time },
  restart: {
    flags: '--restart <when>',
    about: 'permanent, transient, temporary',
    parse: oneOf(['permanent', 'transient', 'temporary']),
  },
  intensity: { flags: '--intensity <number>', about: 'restarts in a period before giving up', parse: count },
  period: { flags: '--period <time>', about: 'that period', parse: time },
  reloadConcurrency: { flags: '--reload-concurrency <number>', about: 'replaced at once', parse: count },
  maxOldSpaceMb: { flags: '--max-old-space-mb <number>', about: "each worker's heap limit", parse: count },
};

/**
 * Checks of what supervise() does not check: what must be there instead.
 * @type {Record<string, (value: any) => string | undefined>}
 */
const checks = {
  http: (value) =>
    value === false || isPort(value) || isText(value) ? undefined : 'a string HOST:PORT, a port or false',
  control: (value) => (value === false || isText(value) ? undefined : 'a string or false'),
  schedulingPolicy: (value) =>
    typeof value === 'number' || POLICIES.includes(value) ? undefined : `one of ${POLICIES.join(', ')}`,
  logFormat: (value) => (LOG_FORMATS.includes(value) ? undefined : `one of ${LOG_FORMATS.join(', ')}`),
  logTime: (value) => (typeof value === 'boolean' ? undefined : 'true or false'),
  logFile: (value) => (isText(value) ? undefined : 'a string'),
  errorFile: (value) => (isText(value) ? undefined : 'a string'),
};

/** Options of the command's own, which supervise() does not know. */
const own = ['http', 'control', 'logFormat', 'logTime', 'logFile', 'errorFile'];

/** Other names of options. */
const aliases = Object.freeze({ workers: 'instances', script: 'exec' });

/** @param {any} value */
function isPort(value) {
  return Number.isInteger(value) && value >= 0 && value <= 65_535;
}

/** @param {any} value */
function isText(value) {
  return typeof value === 'string' && value !== '';
}

/** @param {string} text @param {string} flag */
function workers(text, flag) {
  return text === 'max' ? text : count(text, flag);
}

/** @param {string} text @param {string} flag */
function count(text, flag) {
  if (!/^\d+$/.test(text)) throw usageError(`${flag} takes a number, not "${text}"`);
  return Number(text);
}

/** Milliseconds, or a number with a unit. @param {string} text @param {string} flag */
function time(text, flag) {
  const [, number, unit = 'ms'] = /^(\d+(?:\.\d+)?)(ms|s|m|h)?$/.exec(text) ?? [];
  if (number === undefined) {
    throw usageError(`${flag} takes milliseconds, or a time like 500ms, 30s, 5m, not "${text}"`);
  }
  return Number(number) * UNITS[/** @type {keyof typeof UNITS} */ (unit)];
}

/** @param {string[]} choices */
function oneOf(choices) {
  return (/** @type {string} */ text, /** @type {string} */ flag) => {
    if (choices.includes(text)) return text;
    const meant = nearest(text, choices);
    const hint = meant === undefined ? '' : `; did you mean "${meant}"?`;
    throw usageError(`${flag} takes one of ${choices.join(', ')}, not "${text}"${hint}`);
  };
}

/**
 * Checks the keys of a config file and the values that supervise() does not check.
 * @param {any} config
 * @param {string} file for the error
 * @param {readonly string[]} supervised names of supervise()'s options
 * @returns {Record<string, any>} with the names that supervise() has
 */
function checkConfig(config, file, supervised) {
  if (config === null || typeof config !== 'object' || Array.isArray(config)) {
    throw usageError(`${file}: it must be an object of options, not ${describe(config)}`);
  }
  const names = [...supervised, ...own, ...Object.keys(aliases)];
  /** @type {Record<string, any>} */
  const checked = {};
  for (const [key, value] of Object.entries(config)) {
    if (!names.includes(key)) {
      const meant = nearest(key, names);
      const hint =
        meant === undefined ? 'supervisor.d.ts in the package has them all' : `did you mean "${meant}"?`;
      throw usageError(`${file}: there is no option "${key}"; ${hint}`);
    }
    if (value === undefined) continue;
    const name = aliases[/** @type {keyof typeof aliases} */ (key)] ?? key;
    if (name in checked) throw usageError(`${file}: "${key}" is said twice, as "${name}" is the same`);
    const expected = Object.hasOwn(checks, name) ? checks[name](value) : undefined;
    if (expected !== undefined)
      throw usageError(`${file}: "${key}" must be ${expected}, not ${describe(value)}`);
    checked[name] = value;
  }
  return checked;
}

/** @param {any} value */
function describe(value) {
  if (Array.isArray(value)) return 'a list';
  if (value !== null && typeof value === 'object') return 'an object';
  return typeof value === 'string' ? JSON.stringify(value) : String(value);
}

/**
 * Which of the options are supervise()'s, and which ours.
 * @param {Record<string, any>} options
 */
function split(options) {
  /** @type {Record<string, any>} */
  const forSupervisor = {};
  /** @type {Record<string, any>} */
  const forCommand = {};
  for (const [name, value] of Object.entries(options)) {
    if (own.includes(name)) forCommand[name] = value;
    else forSupervisor[name] = value;
  }
  return { forSupervisor, forCommand };
}

module.exports = { checkConfig, flags, policies, split, time };
