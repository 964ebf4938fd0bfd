'use strict';
// @ts-check

// The environment of a child, and what Node's permission model says about children and adds to it.

const { isProxy } = require('node:util').types;
const { isMainThread } = require('node:worker_threads');

const { accessDenied, codedError, nodeMajor } = require('../errors');
const {
  arrayFind,
  arrayIncludes,
  arrayPush,
  bareDescriptor,
  defineProperty,
  getOwnPropertyDescriptor,
  hasOwn,
  stringIncludes,
  stringIndexOf,
  stringSlice,
  stringSplit,
  stringStartsWith,
} = require('../untampered');

/** As it was when this was loaded; by then something else may stand in its place. */
const loadedEnv = process.env;
const genuineEnv = isGenuine(process.env) ? process.env : undefined;

/** Node's permission model, where it is on. */
const permission = /** @type {any} */ (process).permission;
const isAuditOnly = hasPermissionFlag(
  [...process.execArgv, ...stringSplit(process.env.NODE_OPTIONS ?? '', /\s+/)],
  ['--permission-audit'],
);

/**
 * Whether this is the object whose keys are the process's own environment; test runners put plain ones in place.
 * Only the real one refuses a property that is not writable.
 * @param {any} env
 */
function isGenuine(env) {
  if (!isMainThread || isProxy(env)) return false;
  const probe = 'RCLUSTER_PROBE';
  try {
    defineProperty(env, probe, { value: '', configurable: true, writable: false, enumerable: false });
    delete env[probe];
    return false;
  } catch (error) {
    // A frozen object refuses too, in other words.
    return /** @type {any} */ (error).code === 'ERR_INVALID_OBJECT_DEFINE_PROPERTY';
  }
}

/** @type {boolean | undefined} */
let isOwnInherited;

/**
 * Whether a child inherits the process's own environment, whatever stands in place of process.env: so it is from some
 * release of Node 26 on, which has a function for it.
 */
function isInherited() {
  if (nodeMajor < 26 || isOwnInherited !== undefined) return isOwnInherited ?? false;
  const process = /** @type {any} */ (globalThis.process);
  const before = getOwnPropertyDescriptor(process, 'noDeprecation');
  // What looks into Node is deprecated, which is nothing to tell the program.
  // Read-only under --no-deprecation.
  defineProperty(process, 'noDeprecation', bareDescriptor({ value: true, configurable: true }));
  try {
    isOwnInherited = typeof process.binding('process_wrap').getEnvPairs === 'function';
  } catch {
    isOwnInherited = true;
  } finally {
    if (before === undefined) delete process.noDeprecation;
    else defineProperty(process, 'noDeprecation', before);
  }
  return isOwnInherited;
}

/** @param {any} value @param {string} name */
function rejectNul(value, name) {
  if (typeof value === 'string' && stringIncludes(value, '\0')) {
    throw codedError('ERR_INVALID_ARG_VALUE', name, value, 'must be a string without null bytes');
  }
}

/** @param {string[]} args @param {string[]} flags */
function hasPermissionFlag(args, flags) {
  return (
    arrayFind(args, (arg) =>
      arrayFind(flags, (flag) => arg === flag || stringStartsWith(arg, `${flag}=`)),
    ) !== undefined
  );
}

/** Throws where Node's permission model forbids child processes. @param {string} file */
function checkPermission(file) {
  if (permission !== undefined && !isAuditOnly && !permission.has('child')) throw accessDenied(file);
}

/** The flags of the permission model, which a child gets through NODE_OPTIONS. */
function permissionFlags() {
  const flags = [
    '--allow-fs-read',
    '--allow-fs-write',
    '--allow-addons',
    '--allow-child-process',
    '--allow-wasi',
  ];
  arrayPush(flags, '--allow-worker', '--permission');
  if (nodeMajor >= 24) arrayPush(flags, '--allow-inspector', '--allow-openssl-store');
  if (nodeMajor >= 26) arrayPush(flags, '--allow-net', '--allow-ffi');
  return flags;
}

/**
 * NODE_OPTIONS for a child under the permission model, or undefined where it stays as it is.
 * @param {string | undefined} nodeOptions
 * @param {string[]} args of the child
 */
function permissionNodeOptions(nodeOptions, args) {
  if (permission === undefined || nodeMajor < 22 || (isAuditOnly && nodeMajor < 26)) return undefined;
  const given = nodeMajor < 24 ? ['--permission'] : ['--permission', '--permission-audit'];
  if (arrayFind(given, (flag) => arrayIncludes(args, flag)) !== undefined) return undefined;
  if (
    nodeMajor < 24
      ? nodeOptions && stringIncludes(nodeOptions, '--permission')
      : hasPermissionFlag((nodeOptions ?? '').split(/\s+/), given)
  ) {
    return undefined;
  }
  const flags = permissionFlags();
  const copied = process.execArgv.flatMap((arg) =>
    flags.filter((flag) => arg.startsWith(flag)).map(() => arg),
  );
  if (copied.length === 0) return undefined;
  return [...(nodeOptions ? [nodeOptions] : []), ...copied].join(' ');
}

/**
 * The environment as `NAME=value` pairs; undefined for that of this process, which the engine copies in a
 * twentieth of the time JavaScript takes.
 * @param {any} given options.env
 * @param {string[]} args
 * @param {boolean} isWanted as pairs in any case
 * @returns {string[] | undefined}
 */
function environmentPairs(given, args, isWanted) {
  const inheritsOwn = !given && permission === undefined && isInherited();
  if (inheritsOwn && isMainThread && !isWanted) return undefined;
  const env = given || (inheritsOwn ? (genuineEnv ?? loadedEnv) : process.env);
  const nodeOptions = permissionNodeOptions(env.NODE_OPTIONS, args);
  if (env === genuineEnv && nodeOptions === undefined && !isWanted) return undefined;

  /** @type {string[]} */
  const pairs = [];
  /** @param {string} name @param {any} value */
  const add = (name, value) => {
    if (value === undefined) return;
    rejectNul(name, `options.env['${name}']`);
    rejectNul(value, `options.env['${name}']`);
    arrayPush(pairs, `${name}=${value}`);
  };

  // Coverage is to be collected even where a program passes on a chosen environment only.
  const coverage = process.env.NODE_V8_COVERAGE;
  const addsCoverage = coverage && given && !hasOwn(given, 'NODE_V8_COVERAGE');
  let sawCoverage = false;
  let sawNodeOptions = false;
  // Inherited keys count, as they always have in Node.
  for (const name in env) {
    if (name === 'NODE_V8_COVERAGE' && addsCoverage) {
      sawCoverage = true;
      add(name, coverage);
    } else if (name === 'NODE_OPTIONS' && nodeOptions !== undefined) {
      sawNodeOptions = true;
      add(name, nodeOptions);
    } else {
      add(name, env[name]);
    }
  }
  if (addsCoverage && !sawCoverage) add('NODE_V8_COVERAGE', coverage);
  if (nodeOptions !== undefined && !sawNodeOptions) add('NODE_OPTIONS', nodeOptions);
  return pairs;
}

/**
 * Strings as the engine takes them: each ends in NUL, one after the other. Values that are not strings become
 * strings here, and end at their first NUL, as they would in C.
 * @param {ReadonlyArray<any>} list
 */
function packStrings(list) {
  let packed = '';
  for (const item of list) {
    const text = typeof item === 'string' ? item : `${item}`;
    const end = stringIndexOf(text, '\0');
    packed += `${end === -1 ? text : stringSlice(text, 0, end)}\0`;
  }
  return packed;
}

module.exports = { checkPermission, environmentPairs, packStrings, rejectNul };
