'use strict';
// @ts-check

// `exec` and `execFile`: a child whose output is collected, up to a limit, and handed to a callback when it is over.

const { Buffer } = require('node:buffer');
const { getSystemErrorName } = require('node:util');

const { codedError, plainError } = require('../errors');
const { extraOptions } = require('./extras');
const { state } = require('./install');
const {
  MAX_BUFFER,
  normalizeExecArgs,
  normalizeExecFileArgs,
  validateMaxBuffer,
  validateTimeout,
  validatedKillSignal,
} = require('./options');
const { spawn } = require('./spawn');
const { arrayJoin, arrayPush } = require('../untampered');

/**
 * Node's child_process.exec.
 * @param {any} command
 * @param {any} options
 * @param {any} callback
 */
function exec(command, options, callback) {
  const normalized = normalizeExecArgs(command, options, callback);
  return state.visible.execFile(normalized.file, normalized.options, normalized.callback);
}

/** What execFile passes on to spawn. @param {any} options */
function spawnOptionsOf(options) {
  /** @type {any} */
  const passed = {
    cwd: options.cwd,
    env: options.env,
    gid: options.gid,
    shell: options.shell,
    signal: options.signal,
    uid: options.uid,
    windowsHide: !!options.windowsHide,
    windowsVerbatimArguments: !!options.windowsVerbatimArguments,
  };
  for (const name of extraOptions) if (options[name] !== undefined) passed[name] = options[name];
  return passed;
}

/**
 * Node's child_process.execFile.
 * @param {any} file
 * @param {any} args
 * @param {any} options
 * @param {any} callback
 */
function execFile(file, args, options, callback) {
  ({ file, args, options, callback } = normalizeExecFileArgs(file, args, options, callback));
  options = {
    __proto__: null,
    encoding: 'utf8',
    timeout: 0,
    maxBuffer: MAX_BUFFER,
    killSignal: 'SIGTERM',
    cwd: null,
    env: null,
    shell: false,
    ...options,
  };
  validateTimeout(options.timeout);
  validateMaxBuffer(options.maxBuffer);
  options.killSignal = validatedKillSignal(options.killSignal);
  const child = spawn(file, args, spawnOptionsOf(options));
  observe(child, { file, args, options, callback });
  return child;
}

/**
 * Collects a child's output and reports its end.
 * @param {any} child
 * @param {{ file: string, args: any[], options: any, callback: Function | undefined }} request
 */
function observe(child, { file, args, options, callback }) {
  const { killSignal, maxBuffer, timeout } = options;
  const encoding =
    options.encoding !== 'buffer' && Buffer.isEncoding(options.encoding) ? options.encoding : null;
  const readStdout = collect(child.stdout, encoding, maxBuffer, () => onFull('stdout'));
  const readStderr = collect(child.stderr, encoding, maxBuffer, () => onFull('stderr'));
  const timer = timeout > 0 ? setTimeout(kill, timeout) : undefined;
  let wasKilled = false;
  let isOver = false;
  /** @type {any} */
  let error = null;

  child.addListener('close', finish);
  child.addListener('error', (/** @type {any} */ cause) => {
    error = cause;
    destroyOutputs(child);
    finish();
  });

  function kill() {
    destroyOutputs(child);
    wasKilled = true;
    try {
      child.kill(killSignal);
    } catch (cause) {
      error = cause;
      finish();
    }
  }

  /** @param {string} name */
  function onFull(name) {
    error = codedError('ERR_CHILD_PROCESS_STDIO_MAXBUFFER', name);
    kill();
  }

  /** @param {any} [code] @param {string | null} [signal] */
  function finish(code, signal) {
    if (isOver) return;
    isOver = true;
    clearTimeout(timer);
    if (!callback) return;

    const stdout = readStdout();
    const stderr = readStderr();
    if (!error && code === 0 && signal === null) {
      callback(null, stdout, stderr);
      return;
    }
    const cmd = args.length > 0 ? `${file} ${arrayJoin(args, ' ')}` : file;
    error ||= plainError(`Command failed: ${cmd}\n${stderr}`, {
      code: code < 0 ? getSystemErrorName(code) : code,
      killed: child.killed || wasKilled,
      signal,
    });
    error.cmd = cmd;
    callback(error, stdout, stderr);
  }
}

/** Closes this side of the outputs: a grandchild that holds the other must not hold the callback. @param {any} child */
function destroyOutputs(child) {
  child.stdout?.destroy();
  child.stderr?.destroy();
}

/**
 * Collects what a stream gives, up to `maxBuffer` bytes, cut exactly there.
 * @param {any} stream
 * @param {BufferEncoding | null} encoding
 * @param {number} maxBuffer
 * @param {() => void} onFull
 * @returns {() => string | Buffer} what has been collected
 */
function collect(stream, encoding, maxBuffer, onFull) {
  /** @type {any[]} */
  const chunks = [];
  let length = 0;
  if (stream) {
    if (encoding) stream.setEncoding(encoding);
    stream.on('data', (/** @type {any} */ chunk) => {
      if (maxBuffer === Infinity) {
        arrayPush(chunks, chunk);
        return;
      }
      // Not `encoding`: the user may have set another on the stream meanwhile.
      const { readableEncoding } = stream;
      const before = length;
      length += readableEncoding ? Buffer.byteLength(chunk, readableEncoding) : chunk.length;
      if (length <= maxBuffer) {
        arrayPush(chunks, chunk);
        return;
      }
      // Counted in bytes but cut in characters where there is an encoding, as in Node.
      arrayPush(chunks, chunk.slice(0, maxBuffer - before));
      onFull();
    });
  }
  return () => (encoding || stream?.readableEncoding ? arrayJoin(chunks, '') : Buffer.concat(chunks));
}

module.exports = { exec, execFile };
