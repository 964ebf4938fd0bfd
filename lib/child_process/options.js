'use strict';
// @ts-check

// Options of spawn, fork, exec and their kin, checked and brought into one form. Order of the checks, messages and
// what is copied are those of the Node line this runs on. No I/O, and nothing of the caller's is changed.

const { Buffer } = require('node:buffer');
const os = require('node:os');
const { fileURLToPath } = require('node:url');

const {
  codedError,
  nodeMajor,
  validateArray,
  validateBoolean,
  validateFunction,
  validateInteger,
  validateNumber,
  validateObject,
  validateString,
} = require('../errors');
const { environmentPairs, rejectNul } = require('./environment');
const {
  SafeSet,
  arrayJoin,
  arrayLastIndexOf,
  arraySlice,
  arraySplice,
  arrayUnshift,
  hasOwn,
  stringIncludes,
  stringToUpperCase,
  values,
} = require('../untampered');

const MAX_BUFFER = 1024 * 1024;

/** @type {Record<string, number>} */
const signalNumbers = /** @type {any} */ ({ __proto__: null, ...os.constants.signals });
const knownSignals = new SafeSet(values(signalNumbers));

/** @param {any} list @param {string} name */
function rejectNulIn(list, name) {
  for (let i = 0; i < list.length; i++) {
    if (typeof list[i] === 'string' && stringIncludes(list[i], '\0')) rejectNul(list[i], `${name}[${i}]`);
  }
}

/**
 * A path given as string, Buffer or file URL.
 * @param {any} value
 * @param {string} name
 * @returns {any}
 */
function validatedPath(value, name) {
  // As Node tells a URL, its own or another implementation's, from a legacy url.parse() object.
  const isUrl = value?.href && value.protocol && value.auth === undefined && value.path === undefined;
  const path = isUrl ? fileURLToPath(value) : value;
  const isBytes = path instanceof Uint8Array;
  if (typeof path !== 'string' && !isBytes) {
    throw codedError('ERR_INVALID_ARG_TYPE', name, ['string', 'Buffer', 'URL'], path);
  }
  if (isBytes ? path.includes(0) : stringIncludes(path, '\0')) {
    const reason = 'must be a string, Uint8Array, or URL without null bytes';
    throw codedError('ERR_INVALID_ARG_VALUE', name, path, reason);
  }
  return path;
}

/** @param {any} id @param {string} name */
function validateId(id, name) {
  if (id == null) return;
  if (nodeMajor >= 26) validateInteger(id, name, -2147483648, 2147483647);
  else if (id !== (id | 0)) throw codedError('ERR_INVALID_ARG_TYPE', name, 'int32', id);
}

/** @param {any} timeout */
function validateTimeout(timeout) {
  if (timeout == null) return;
  if (nodeMajor >= 26) validateInteger(timeout, 'timeout', 0);
  else if (!Number.isInteger(timeout) || timeout < 0) {
    throw codedError('ERR_OUT_OF_RANGE', 'timeout', 'an unsigned integer', timeout);
  }
}

/** @param {any} maxBuffer */
function validateMaxBuffer(maxBuffer) {
  if (maxBuffer == null) return;
  if (nodeMajor >= 26) validateNumber(maxBuffer, 'options.maxBuffer', 0);
  else if (typeof maxBuffer !== 'number' || !(maxBuffer >= 0)) {
    throw codedError('ERR_OUT_OF_RANGE', 'options.maxBuffer', 'a positive number', maxBuffer);
  }
}

/**
 * The number of a signal given by name or number; undefined if none is given.
 * @param {any} signal
 * @returns {number | undefined}
 */
function validatedKillSignal(signal) {
  if (signal == null) return undefined;
  if (typeof signal === 'number' && knownSignals.has(signal)) return signal;
  if (typeof signal === 'string') {
    const number = signalNumbers[stringToUpperCase(signal)];
    if (number) return number;
  } else if (typeof signal !== 'number') {
    throw codedError('ERR_INVALID_ARG_TYPE', 'options.killSignal', ['string', 'number'], signal);
  }
  throw codedError('ERR_UNKNOWN_SIGNAL', signal);
}

let warnedOfShellArguments = false;

function warnOfShellArguments() {
  if (nodeMajor < 24 || warnedOfShellArguments) return;
  process.emitWarning(
    'Passing args to a child process with shell option true can lead to security vulnerabilities, ' +
      'as the arguments are not escaped, only concatenated.',
    'DeprecationWarning',
    'DEP0190',
  );
  warnedOfShellArguments = true;
}

/**
 * Checks what `spawn` and `spawnSync` were given and says what to run.
 * @param {any} file
 * @param {any} args
 * @param {any} options
 * @param {boolean} [isWatched] somebody will look at the options, and expects them as Node makes them
 * @returns {any} the options with `file`, `args` (the first being argv[0]), `cwd`, `detached`, and either
 *   `envPairs` or `inheritEnv`
 */
function normalizeSpawnArguments(file, args, options, isWatched = false) {
  validateString(file, 'file');
  rejectNul(file, 'file');
  if (file.length === 0) throw codedError('ERR_INVALID_ARG_VALUE', 'file', file, 'cannot be empty');

  if (Array.isArray(args)) {
    args = arraySlice(args);
  } else if (args == null) {
    args = [];
  } else if (typeof args !== 'object') {
    throw codedError('ERR_INVALID_ARG_TYPE', 'args', 'object', args);
  } else {
    options = args;
    args = [];
  }
  rejectNulIn(args, 'args');

  if (options !== undefined) validateObject(options, 'options');
  options = { __proto__: null, ...options };

  const cwd = options.cwd == null ? options.cwd : `${validatedPath(options.cwd, 'options.cwd')}`;
  if (options.detached != null) validateBoolean(options.detached, 'options.detached');
  validateId(options.uid, 'options.uid');
  validateId(options.gid, 'options.gid');
  const { shell } = options;
  if (shell != null && typeof shell !== 'boolean' && typeof shell !== 'string') {
    throw codedError('ERR_INVALID_ARG_TYPE', 'options.shell', ['boolean', 'string'], shell);
  }
  validateArgv0(options.argv0);
  if (options.windowsHide != null) validateBoolean(options.windowsHide, 'options.windowsHide');
  if (options.windowsVerbatimArguments != null) {
    validateBoolean(options.windowsVerbatimArguments, 'options.windowsVerbatimArguments');
  }

  if (shell) {
    rejectNul(shell, 'options.shell');
    if (args.length > 0) warnOfShellArguments();
    args = ['-c', args.length > 0 ? `${file} ${arrayJoin(args, ' ')}` : file];
    file = typeof shell === 'string' ? shell : '/bin/sh';
  }
  arrayUnshift(args, typeof options.argv0 === 'string' ? options.argv0 : file);

  const envPairs = environmentPairs(options.env, args, isWatched);
  options.args = args;
  options.cwd = cwd;
  options.detached = !!options.detached;
  options.envPairs = envPairs;
  if (envPairs === undefined) options.inheritEnv = true;
  options.file = file;
  options.windowsHide = !!options.windowsHide;
  options.windowsVerbatimArguments = !!options.windowsVerbatimArguments;
  return options;
}

/** @param {any} argv0 */
function validateArgv0(argv0) {
  if (argv0 == null) return;
  validateString(argv0, 'options.argv0');
  rejectNul(argv0, 'options.argv0');
}

/**
 * Sorts out the optional arguments of `exec` and `execSync`.
 * @param {any} command
 * @param {any} options
 * @param {any} callback
 */
function normalizeExecArgs(command, options, callback) {
  validateString(command, 'command');
  rejectNul(command, 'command');
  if (typeof options === 'function') {
    callback = options;
    options = undefined;
  }
  options = { __proto__: null, ...options };
  options.shell = typeof options.shell === 'string' ? options.shell : true;
  return { file: command, options, callback };
}

/**
 * Sorts out the optional arguments of `execFile` and `execFileSync`.
 * @param {any} file
 * @param {any} args
 * @param {any} options
 * @param {any} [callback]
 */
function normalizeExecFileArgs(file, args, options, callback) {
  if (Array.isArray(args)) {
    args = arraySlice(args);
  } else if (args != null && typeof args === 'object') {
    callback = options;
    options = args;
    args = null;
  } else if (typeof args === 'function') {
    callback = args;
    options = null;
    args = null;
  }
  args ??= [];

  if (typeof options === 'function') callback = options;
  else if (options != null) validateObject(options, 'options');
  options ??= { __proto__: null };
  if (callback != null) validateFunction(callback, 'callback');
  validateArgv0(options.argv0);
  return { file, args, options, callback };
}

/**
 * The program and arguments of `fork`. Its `stdio` is left to the caller.
 * @param {any} modulePath
 * @param {any} args
 * @param {any} options
 */
function normalizeForkArguments(modulePath, args, options) {
  modulePath = validatedPath(modulePath, 'modulePath');
  if (args == null) {
    args = [];
  } else if (typeof args === 'object' && !Array.isArray(args)) {
    options = args;
    args = [];
  } else {
    validateArray(args, 'args');
  }
  if (options != null) validateObject(options, 'options');

  options = { __proto__: null, ...options, shell: false };
  options.execPath ||= process.execPath;
  rejectNul(options.execPath, 'options.execPath');
  let execArgv = options.execArgv || process.execArgv;
  rejectNulIn(execArgv, 'options.execArgv');
  if (execArgv === process.execArgv) execArgv = withoutEval(execArgv);
  return { args: [...execArgv, modulePath, ...args], options };
}

/** Drops `-e CODE`: a child of code given that way would run it again, and fork again. @param {string[]} execArgv */
function withoutEval(execArgv) {
  const code = /** @type {any} */ (process)._eval;
  const index = code == null ? -1 : arrayLastIndexOf(execArgv, code);
  if (index <= 0) return execArgv;
  const rest = arraySlice(execArgv);
  arraySplice(rest, index - 1, 2);
  return rest;
}

/**
 * Checks what is particular to `spawnSync` and turns `input` into bytes.
 * @param {any} options as `normalizeSpawnArguments` makes them
 * @param {any[]} stdio as `getValidStdio` makes it
 */
function addInput(options, stdio) {
  const { input } = options;
  if (input) stdio[0] = { ...stdio[0], input };
  for (let slot = 0; slot < stdio.length; slot++) {
    const given = hasOwn(stdio[slot], 'input') ? stdio[slot].input : undefined;
    if (given == null || ArrayBuffer.isView(given)) continue;
    if (typeof given !== 'string') {
      const expected = ['Buffer', 'TypedArray', 'DataView', 'string'];
      throw codedError('ERR_INVALID_ARG_TYPE', `options.stdio[${slot}]`, expected, given);
    }
    stdio[slot] = { ...stdio[slot], input: Buffer.from(given, options.encoding) };
  }
}

module.exports = {
  MAX_BUFFER,
  addInput,
  normalizeExecArgs,
  normalizeExecFileArgs,
  normalizeForkArguments,
  normalizeSpawnArguments,
  validateMaxBuffer,
  validateTimeout,
  validatedKillSignal,
};
