'use strict';
// @ts-check

// Options and methods that Node has not: what is set in the child before its exec, killing of whole trees, kill
// after a delay, settling although a grandchild holds a pipe, and what a child used.

const os = require('node:os');
const path = require('node:path');

const {
  codedError,
  errnoException,
  validateArray,
  validateBoolean,
  validateInteger,
  validateObject,
  validateOneOf,
  validateString,
} = require('../errors');
const {
  arrayIncludes,
  arrayIndexOf,
  arrayJoin,
  arrayMap,
  freeze,
  hasOwn,
  keys,
  stringToUpperCase,
  values,
} = require('../untampered');

/** Names of resource limits, in the kernel's numbering on Linux. */
const RLIMITS = freeze([
  'cpu', 'fsize', 'data', 'stack', 'core', 'rss', 'nproc', 'nofile', 'memlock', 'as', 'locks', 'sigpending',
  'msgqueue', 'nice', 'rtprio', 'rttime',
]); // prettier-ignore
const IO_CLASSES = freeze({ realtime: 1, 'best-effort': 2, idle: 3 });
const IO_CLASS_SHIFT = 13;
const CGROUP_ROOT = '/sys/fs/cgroup';
const MAX_UINT32 = 2 ** 32 - 1;
const TIMEOUT_MAX = 2 ** 31 - 1;
const UNLIMITED = -1;

/** What a child was doing when it gave up: `Step` in src/sys/clone/plan.rs. Step 0 is the exec itself. */
const STEPS = freeze([
  undefined,
  { option: 'groups', syscall: 'setgroups' },
  { option: 'dieWithParent', syscall: 'prctl' },
  { option: 'cgroup', syscall: 'open' },
  { option: 'oomScoreAdj', syscall: 'write' },
  { option: 'nice', syscall: 'setpriority' },
  { option: 'ionice', syscall: 'ioprio_set' },
  { option: 'affinity', syscall: 'sched_setaffinity' },
  { option: 'closeFds', syscall: 'close_range' },
  { option: 'rlimits', syscall: 'prlimit' },
]);

/** Reads an option that is set in the child. @type {Record<string, (value: any, name: string) => any>} */
const readers = {
  groups: (value, name) => readList(value, name, MAX_UINT32),
  affinity: (value, name) => {
    const cpus = readList(typeof value === 'number' ? [value] : value, name, 8191);
    if (cpus.length === 0)
      throw codedError('ERR_INVALID_ARG_VALUE', name, value, 'must name at least one processor');
    return cpus;
  },
  dieWithParent: readBoolean,
  closeFds: readBoolean,
  rlimits: readLimits,
  nice: (value, name) => readInteger(value, name, -20, 19),
  ionice: readIoPriority,
  oomScoreAdj: (value, name) => readInteger(value, name, -1000, 1000),
  umask: (value, name) => {
    if (typeof value === 'string' && /^[0-7]{1,4}$/.test(value)) return Number.parseInt(value, 8);
    return readInteger(value, name, 0, 0o777);
  },
  cgroup: (value, name) => {
    validateString(value, name);
    return path.resolve(CGROUP_ROOT, value);
  },
};
/** The engine's names where they differ. */
const nativeNames = freeze({ rlimits: 'limits', ionice: 'ioPriority' });
const childOptions = freeze(keys(readers));
/** Every option that Node has not. */
const extraOptions = freeze([...childOptions, 'killTree', 'killAfter', 'closeGrace']);

/** @param {any} value @param {string} name */
function readBoolean(value, name) {
  validateBoolean(value, name);
  return value;
}

/** @param {any} value @param {string} name @param {number} min @param {number} max */
function readInteger(value, name, min, max) {
  validateInteger(value, name, min, max);
  return value;
}

/** @param {any} value @param {string} name @param {number} max */
function readList(value, name, max) {
  validateArray(value, name);
  return arrayMap(value, (/** @type {any} */ item, /** @type {number} */ at) =>
    readInteger(item, `${name}[${at}]`, 0, max),
  );
}

/** @param {any} value @param {string} name */
function readLimit(value, name) {
  if (value === Infinity || value === 'unlimited') return UNLIMITED;
  return readInteger(value, name, 0, Number.MAX_SAFE_INTEGER);
}

/** @param {any} value @param {string} name */
function readLimits(value, name) {
  validateObject(value, name);
  return arrayMap(keys(value), (key) => {
    const resource = arrayIndexOf(RLIMITS, key);
    if (resource === -1)
      throw codedError(
        'ERR_INVALID_ARG_VALUE',
        `${name}.${key}`,
        value[key],
        `is not one of ${arrayJoin(RLIMITS, ', ')}`,
      );
    const given = value[key];
    const { soft, hard } = given !== null && typeof given === 'object' ? given : { soft: given, hard: given };
    return {
      resource,
      soft: readLimit(soft, `${name}.${key}.soft`),
      hard: readLimit(hard ?? soft, `${name}.${key}.hard`),
    };
  });
}

/** @param {any} value @param {string} name */
function readIoPriority(value, name) {
  const { class: ioClass, level = 4 } =
    typeof value === 'string' ? { class: value } : (validateObject(value, name), value);
  validateOneOf(ioClass, `${name}.class`, keys(IO_CLASSES));
  validateInteger(level, `${name}.level`, 0, 7);
  return (
    (IO_CLASSES[/** @type {keyof typeof IO_CLASSES} */ (ioClass)] << IO_CLASS_SHIFT) |
    (ioClass === 'idle' ? 0 : level)
  );
}

/**
 * The extras of a spawn in the engine's form; undefined where none is asked for, as almost always.
 * @param {any} options
 */
function nativeExtras(options) {
  /** @type {Record<string, any> | undefined} */
  let extras;
  for (const name of childOptions) {
    const value = options[name];
    if (value === undefined || value === null) continue;
    extras ??= {};
    extras[/** @type {any} */ (nativeNames)[name] ?? name] = readers[name](value, `options.${name}`);
  }
  if (options.killTree !== undefined && options.killTree !== null) {
    validateBoolean(options.killTree, 'options.killTree');
    if (options.killTree) (extras ??= {}).markTree = true;
  }
  for (const name of ['killAfter', 'closeGrace']) {
    if (options[name] != null) validateInteger(options[name], `options.${name}`, 0, TIMEOUT_MAX);
  }
  return extras;
}

/**
 * The error of a step that failed in the child; undefined for the exec itself, which has Node's own error.
 * @param {number} errno
 * @param {number} step
 * @param {string} file
 */
function stepError(errno, step, file) {
  const failed = STEPS[step];
  if (failed === undefined) return undefined;
  const error = errnoException(errno, failed.syscall);
  error.message = `spawn ${file}: ${failed.syscall} ${error.code} (options.${failed.option})`;
  return error;
}

const usageNames = /** @type {const} */ ([
  'userCPUTime', 'systemCPUTime', 'maxRSS', 'minorPageFault', 'majorPageFault', 'fsRead', 'fsWrite',
  'voluntaryContextSwitches', 'involuntaryContextSwitches',
]); // prettier-ignore

/**
 * What `child.resourceUsage()` gives, from the engine's numbers.
 * @param {number[]} numbers
 */
function usageObject(numbers) {
  /** @type {Record<string, number>} */
  const usage = {};
  for (let at = 0; at < usageNames.length; at++) usage[usageNames[at]] = numbers[at];
  return usage;
}

/**
 * What `killTree` did, for the user.
 * @param {{ pids: number[], failed: number[], errnos: number[] } | null} result
 * @param {string | number} signal
 */
function treeResult(result, signal) {
  if (result === null) return { signal, pids: [], failed: [] };
  const failed = arrayMap(result.failed, (pid, at) => ({
    pid,
    error: errnoException(result.errnos[at], 'kill'),
  }));
  return { signal, pids: result.pids, failed };
}

/** @param {any} signal */
function signalNumber(signal = 'SIGTERM') {
  const known = /** @type {Record<string, number>} */ (os.constants.signals);
  if (typeof signal === 'number' && (signal === 0 || arrayIncludes(values(known), signal))) return signal;
  if (typeof signal === 'string') {
    const name = stringToUpperCase(signal);
    if (hasOwn(known, name)) return known[name];
  }
  throw codedError('ERR_UNKNOWN_SIGNAL', signal);
}

module.exports = { extraOptions, nativeExtras, signalNumber, stepError, treeResult, usageObject };
