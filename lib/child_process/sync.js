'use strict';
// @ts-check

// The synchronous functions: one call into the engine, which runs the child to its end.

const os = require('node:os');
const { isMainThread } = require('node:worker_threads');

const { errnoException, nodeMajor, plainError } = require('../errors');
const { engine } = require('../native');
const { checkPermission, packStrings } = require('./environment');
const {
  MAX_BUFFER,
  addInput,
  normalizeExecArgs,
  normalizeExecFileArgs,
  normalizeSpawnArguments,
  validateMaxBuffer,
  validateTimeout,
  validatedKillSignal,
} = require('./options');
const { nativeExtras, stepError } = require('./extras');
const { signalName } = require('./signals');
const { getValidStdio } = require('./stdio');
const { arrayJoin, arrayMap, arraySlice, assign, hasOwn } = require('../untampered');

const STDIO_IGNORE = -1;
const STDIO_PIPE = -2;
const NO_INPUT = new Uint8Array(0);

/** Whether this line leaves `stdout` undefined, not null, where there was no child. */
const missingStream = nodeMajor >= 22 ? undefined : null;

/** An entry in the engine's numbers. @param {import('./stdio').StdioEntry} entry @returns {number} */
function planOf(entry) {
  switch (entry.type) {
    case 'ignore':
      return STDIO_IGNORE;
    case 'pipe':
    case 'overlapped':
      return STDIO_PIPE;
    case 'wrap':
      return entry.handle.fd;
    default:
      return /** @type {number} */ (entry.fd);
  }
}

/** The bytes to write to an entry; undefined where it is not written to. @param {import('./stdio').StdioEntry} entry */
function inputOf(entry) {
  if (!entry.readable) return undefined;
  const input = hasOwn(entry, 'input') ? /** @type {ArrayBufferView} */ (entry.input) : undefined;
  return input ? new Uint8Array(input.buffer, input.byteOffset, input.byteLength) : NO_INPUT;
}

/** @param {{ error: number, step: number }} native @param {any} options */
function errorOf(native, { file, args }) {
  const error =
    stepError(native.error, native.step, file) ?? errnoException(native.error, `spawnSync ${file}`);
  error.path = file;
  error.spawnargs = arraySlice(args, 1);
  return error;
}

/** @param {any} options as `spawnSync` has checked them */
function run(options) {
  checkPermission(options.file);
  const { stdio } = options;
  const native = engine.spawnSync(
    {
      file: options.file,
      args: packStrings(options.args),
      env: options.inheritEnv && isMainThread ? undefined : packStrings(options.envPairs),
      // Unlike spawn, Node's spawnSync takes an empty string for a directory, which does not exist.
      cwd: options.cwd ?? undefined,
      detached: options.detached,
      uid: options.uid ?? undefined,
      gid: options.gid ?? undefined,
      extras: nativeExtras(options),
    },
    new Int32Array(arrayMap(stdio, planOf)),
    arrayMap(stdio, inputOf),
    {
      timeout: options.timeout ?? 0,
      maxBuffer: options.maxBuffer ?? 0,
      killSignal: options.killSignal ?? os.constants.signals.SIGTERM,
    },
  );

  /** @type {any} */
  const result = native.error === 0 ? {} : { error: errorOf(native, options) };
  result.status = native.status ?? null;
  result.signal = native.signal === undefined ? null : signalName(native.signal);
  result.output = native.output ?? null;
  result.pid = native.pid;
  return result;
}

/**
 * Node's child_process.spawnSync.
 * @param {any} file
 * @param {any} args
 * @param {any} [options]
 */
function spawnSync(file, args, options) {
  options = { __proto__: null, maxBuffer: MAX_BUFFER, ...normalizeSpawnArguments(file, args, options) };
  validateTimeout(options.timeout);
  validateMaxBuffer(options.maxBuffer);
  options.killSignal = validatedKillSignal(options.killSignal);
  options.stdio = getValidStdio(options.stdio || 'pipe', true).stdio;
  addInput(options, options.stdio);

  const result = run(options);
  const { output } = result;
  if (output && options.encoding && options.encoding !== 'buffer') {
    result.output = arrayMap(output, (/** @type {any} */ data) => data && data.toString(options.encoding));
  }
  result.stdout = result.output ? result.output[1] : missingStream;
  result.stderr = result.output ? result.output[2] : missingStream;
  return result;
}

/** Throws what `execSync` and `execFileSync` throw. @param {any} result @param {string} command */
function throwIfFailed(result, command) {
  if (result.error) throw assign(result.error, result);
  if (result.status === 0) return;
  const details = result.stderr && result.stderr.length > 0 ? `\n${result.stderr}` : '';
  throw plainError(`Command failed: ${command}${details}`, result);
}

/** Shows what the child wrote to stderr, where the caller did not say what to do with it. @param {any} result */
function showStderr(result) {
  if (result.stderr) process.stderr.write(result.stderr);
}

/**
 * Node's child_process.execFileSync.
 * @param {any} file
 * @param {any} args
 * @param {any} options
 */
function execFileSync(file, args, options) {
  ({ file, args, options } = normalizeExecFileArgs(file, args, options));
  const result = spawnSync(file, args, options);
  if (!options.stdio) showStderr(result);
  throwIfFailed(result, arrayJoin([options.argv0 || file, ...args], ' '));
  return result.stdout;
}

/**
 * Node's child_process.execSync.
 * @param {any} command
 * @param {any} options
 */
function execSync(command, options) {
  const { options: checked } = normalizeExecArgs(command, options, null);
  const hasStdio = checked.stdio;
  const result = spawnSync(command, checked);
  if (!hasStdio) showStderr(result);
  throwIfFailed(result, command);
  return result.stdout;
}

module.exports = { execFileSync, execSync, spawnSync };
