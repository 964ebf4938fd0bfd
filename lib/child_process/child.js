'use strict';
// @ts-check

// The child as its user sees it: an EventEmitter whose prototype chain runs through Node's own ChildProcess, so
// that `instanceof`, `kill`, `ref`, `unref` and `Symbol.dispose` are the running Node line's own, over a
// `_handle` that is ours.

const { AsyncResource } = require('node:async_hooks');
const nodeChildProcess = require('node:child_process');
const diagnostics = require('node:diagnostics_channel');
const { EventEmitter } = require('node:events');
const net = require('node:net');
const os = require('node:os');
const { isMainThread } = require('node:worker_threads');

const { errnoException, validateArray, validateObject, validateOneOf, validateString } = require('../errors');
const { engine, kinds, on } = require('../native');
const { setupChannel } = require('./channel');
const { pipeFromFd, pauseHandle } = require('./handles');
const { getValidStdio } = require('./stdio');

const NodeChildProcess = nodeChildProcess.ChildProcess;
const { UV_EACCES, UV_EAGAIN, UV_EMFILE, UV_ENFILE, UV_ENOENT } = uvErrnos();

/** Descriptors the child inherits in the slots after its visible stdio. */
const kExtraFds = Symbol('rcluster.extraFds');
const kIsUsedAsStdio = Symbol('rcluster.isUsedAsStdio');

const STDIO_IGNORE = -1;
const STDIO_PIPE = -2;

const signalNames = new Map(Object.entries(os.constants.signals).map(([name, number]) => [number, name]));
// SIGABRT and SIGIOT, SIGIO and SIGPOLL share a number; Node prints the first of each.
for (const name of /** @type {const} */ (['SIGABRT', 'SIGIO'])) signalNames.set(os.constants.signals[name], name);

const created = diagnostics.channel('child_process');
const spawnTrace = diagnostics.tracingChannel ? diagnostics.tracingChannel('child_process.spawn') : undefined;

/** Children whose end has not been reported, by the engine's id. @type {Map<number, ChildHandle>} */
const running = new Map();

on(kinds.CHILD_STARTED, (id) => running.get(id)?.settled(0));
on(kinds.CHILD_NOT_STARTED, (id, errno) => running.get(id)?.settled(errno));
on(kinds.CHILD_EXITED, (id, code, signal) => running.get(id)?.exited(code, signal));

function uvErrnos() {
  const { errno } = os.constants;
  const negative = (/** @type {keyof typeof errno} */ name) => -errno[name];
  return {
    UV_EACCES: negative('EACCES'),
    UV_EAGAIN: negative('EAGAIN'),
    UV_EMFILE: negative('EMFILE'),
    UV_ENFILE: negative('ENFILE'),
    UV_ENOENT: negative('ENOENT'),
  };
}

/** What Node's ChildProcess.prototype expects behind `_handle`. */
class ChildHandle {
  /** @param {any} child */
  constructor(child) {
    this.child = child;
    this.id = -1;
    this.pid = 0;
    /** Whether the outcome of the exec is known. */
    this.isSettled = false;
    /** The negative errno of a failed exec that is known but not yet reported. */
    this.resource = new AsyncResource('PROCESSWRAP');
  }

  /** @param {number} signal */
  kill(signal) {
    return engine.kill(this.id, signal);
  }

  ref() {
    engine.setRef(this.id, true);
    this.referenced = true;
  }

  unref() {
    engine.setRef(this.id, false);
    this.referenced = false;
  }

  hasRef() {
    return this.id !== -1 && this.referenced;
  }

  close() {
    running.delete(this.id);
  }

  /** @param {number} id @param {number} pid */
  started(id, pid) {
    this.id = id;
    this.pid = pid;
    this.referenced = true;
    running.set(id, this);
  }

  /**
   * The outcome of the exec, as the loop reports it.
   * @param {number} errno 0, or why the exec failed
   */
  settled(errno) {
    this.isSettled = true;
    const { child } = this;
    setPid(child, errno === 0 ? this.pid : undefined);
    if (errno === 0) this.resource.runInAsyncScope(onSpawn, undefined, child);
    else this.resource.runInAsyncScope(onExit, undefined, child, errno, '');
  }

  /** Waits for the outcome of the exec, for somebody who reads the pid before it is known. */
  settleNow() {
    if (this.isSettled) return;
    const errno = engine.settle(this.id);
    if (errno === 1) return;
    this.isSettled = true;
    const { child } = this;
    setPid(child, errno === 0 ? this.pid : undefined);
    if (errno === 0) process.nextTick(onSpawn, child);
    else process.nextTick(onExit, child, errno, '');
  }

  /** @param {number} code @param {number} signal */
  exited(code, signal) {
    this.resource.runInAsyncScope(onExit, undefined, this.child, code, signal === 0 ? '' : (signalNames.get(signal) ?? ''));
  }
}

/** @param {any} child @param {number | undefined} pid */
function setPid(child, pid) {
  Object.defineProperty(child, 'pid', { value: pid, writable: true, enumerable: true, configurable: true });
}

/** Knows the pid once the exec is known to have worked; read before that, it waits for it. */
const pidAccessor = {
  configurable: true,
  enumerable: true,
  /** @this {any} */
  get() {
    const handle = this._handle;
    if (!(handle instanceof ChildHandle) || handle.id === -1) return undefined;
    handle.settleNow();
    return Object.getOwnPropertyDescriptor(this, 'pid')?.value;
  },
  /** @this {any} @param {any} value */
  set(value) {
    setPid(this, value);
  },
};

/** @param {any} child */
function initialise(child) {
  EventEmitter.call(child);
  child._closesNeeded = 1;
  child._closesGot = 0;
  child.connected = false;
  child.signalCode = null;
  child.exitCode = null;
  child.killed = false;
  child.spawnfile = null;
  child._handle = new ChildHandle(child);
}

/**
 * A child process. Not made by Node's own constructor: that allocates a native process handle which is only
 * freed by a spawn of Node's.
 * @this {any}
 */
function ChildProcess() {
  initialise(this);
  if (created.hasSubscribers) created.publish({ process: this });
}
Object.setPrototypeOf(ChildProcess, NodeChildProcess);
ChildProcess.prototype = Object.create(NodeChildProcess.prototype, {
  constructor: { value: ChildProcess, writable: true, configurable: true },
  spawn: { value: spawn, writable: true, configurable: true },
  pid: { ...pidAccessor, enumerable: false },
});

/** @param {any} child */
function onSpawn(child) {
  child.emit('spawn');
}

/**
 * @param {any} child
 * @param {number} exitCode negative: the exec failed with this errno
 * @param {string} signalCode
 */
function onExit(child, exitCode, signalCode) {
  if (signalCode) child.signalCode = signalCode;
  else child.exitCode = exitCode;

  if (child.stdin) child.stdin.destroy();

  child._handle.close();
  child._handle = null;

  if (exitCode < 0) {
    const error = errnoException(exitCode, child.spawnfile ? `spawn ${child.spawnfile}` : 'spawn');
    if (child.spawnfile) error.path = child.spawnfile;
    error.spawnargs = child.spawnargs.slice(1);
    child.emit('error', error);
  } else {
    child.emit('exit', child.exitCode, child.signalCode);
  }

  // On nextTick: a listener of 'exit' is the last chance to attach a reader before the rest is thrown away.
  process.nextTick(flushStdio, child);
  maybeClose(child);
}

/** Reads streams nobody has touched to their end, so that 'close' comes. @param {any} child */
function flushStdio(child) {
  if (child.stdio == null) return;
  for (const stream of child.stdio) {
    if (stream && stream.readable && !stream[kIsUsedAsStdio]) stream.resume();
  }
}

/** Counts what must end before 'close': the process, its readable pipes, its channel. @param {any} child */
function maybeClose(child) {
  child._closesGot++;
  if (child._closesGot === child._closesNeeded) child.emit('close', child.exitCode, child.signalCode);
}

/** @param {ReadonlyArray<string>} strings */
function joined(strings) {
  return strings.length === 0 ? '' : strings.join('\0') + '\0';
}

/**
 * Starts the process of a child made by `new ChildProcess()`, Node's or ours.
 * @this {any}
 * @param {any} options as `normalizeSpawnArguments` makes them
 * @returns {number} 0 or the negative errno of a failure that is reported by an 'error' event
 */
function spawn(options) {
  validateObject(options, 'options');
  adopt(this);

  const { stdio, ipcFd } = getValidStdio(options.stdio || 'pipe', false);
  options.stdio = stdio;
  validateOneOf(options.serialization, 'options.serialization', [undefined, 'json', 'advanced']);
  const serialization = options.serialization || 'json';

  const extraEnv = [];
  if (ipcFd !== undefined) {
    if (options.envPairs === undefined) options.envPairs = [];
    else validateArray(options.envPairs, 'options.envPairs');
    extraEnv.push(`NODE_CHANNEL_FD=${ipcFd}`, `NODE_CHANNEL_SERIALIZATION_MODE=${serialization}`);
    options.envPairs.push(...extraEnv);
  }

  validateString(options.file, 'options.file');
  this.spawnfile = options.file;
  if (options.args === undefined) {
    this.spawnargs = [];
  } else {
    validateArray(options.args, 'options.args');
    this.spawnargs = options.args;
  }

  if (spawnTrace?.hasSubscribers) spawnTrace.start.publish({ process: this, options });

  const plan = stdioPlan(stdio, options[kExtraFds]);
  const result = new Int32Array(2);
  const errno = engine.spawn(
    {
      file: options.file,
      args: joined(this.spawnargs.length === 0 ? [options.file] : this.spawnargs),
      env: environmentOf(options),
      extraEnv: options.inheritEnv ? joined(extraEnv) : undefined,
      cwd: options.cwd ?? undefined,
      detached: !!options.detached,
      uid: options.uid ?? undefined,
      gid: options.gid ?? undefined,
    },
    plan,
    result,
  );

  if (errno !== 0) {
    const reported = isReportedByEvent(errno);
    if (spawnTrace?.hasSubscribers) spawnTrace.error.publish({ process: this, error: errnoException(errno, 'spawn') });
    if (!reported) {
      closePipes(plan, stdio);
      this._handle.close();
      this._handle = null;
      throw errnoException(errno, 'spawn');
    }
    process.nextTick(onExit, this, errno, '');
    // Node gives up here too: without descriptors there are no streams.
    if (errno === UV_EMFILE || errno === UV_ENFILE) {
      closePipes(plan, stdio);
      return errno;
    }
    setPid(this, undefined);
  } else {
    this._handle.started(result[0], result[1]);
    if (spawnTrace?.hasSubscribers) spawnTrace.end.publish({ process: this });
  }

  this.stdio = stdio.map((entry, slot) => streamOf(this, entry, slot, plan[slot]));
  this.stdin = this.stdio[0] ?? null;
  this.stdout = this.stdio[1] ?? null;
  this.stderr = this.stdio[2] ?? null;

  if (ipcFd !== undefined) setupChannel(this, plan[ipcFd], serialization, maybeClose);
  return errno;
}

/** The errnos Node reports by an 'error' event; it throws the others. @param {number} errno */
function isReportedByEvent(errno) {
  return (
    errno === UV_EACCES || errno === UV_EAGAIN || errno === UV_EMFILE || errno === UV_ENFILE || errno === UV_ENOENT
  );
}

/** Puts our handle behind a child that Node's own constructor made. @param {any} child */
function adopt(child) {
  if (child._handle instanceof ChildHandle) return;
  child._handle?.close();
  child._handle = new ChildHandle(child);
  Object.defineProperty(child, 'pid', pidAccessor);
}

/** @param {any} options */
function environmentOf(options) {
  if (options.inheritEnv && isMainThread) return undefined;
  return joined(options.envPairs ?? []);
}

/**
 * The plan in the engine's numbers.
 * @param {any[]} stdio
 * @param {number[]} [extraFds]
 */
function stdioPlan(stdio, extraFds = []) {
  const plan = new Int32Array(stdio.length + extraFds.length);
  for (let slot = 0; slot < stdio.length; slot++) {
    const { type, fd, handle } = stdio[slot];
    if (type === 'ignore') plan[slot] = STDIO_IGNORE;
    else if (type === 'pipe' || type === 'overlapped' || type === 'ipc') plan[slot] = STDIO_PIPE;
    else plan[slot] = type === 'wrap' ? handle.fd : fd;
  }
  plan.set(extraFds, stdio.length);
  return plan;
}

/** Whether this entry got a socket pair. @param {any} entry */
function isPipe(entry) {
  return entry.type === 'pipe' || entry.type === 'overlapped' || entry.type === 'ipc';
}

/** Closes this side's ends of the pipes that were made for a child that will not be. */
function closePipes(/** @type {Int32Array} */ plan, /** @type {any[]} */ stdio) {
  stdio.forEach((entry, slot) => {
    if (isPipe(entry) && plan[slot] >= 0) pipeFromFd(plan[slot]).close();
  });
}

/**
 * The stream the user gets for one slot, or null.
 * @param {any} child
 * @param {any} entry
 * @param {number} slot
 * @param {number} fd this side's end
 */
function streamOf(child, entry, slot, fd) {
  if (entry.type === 'ipc') {
    child._closesNeeded++;
    return null;
  }
  if (entry.type === 'wrap') {
    pauseHandle(entry.handle, entry._stdio);
    entry._stdio[kIsUsedAsStdio] = true;
    return null;
  }
  if (!isPipe(entry)) return null;
  const readable = slot > 0;
  const socket = new net.Socket({ handle: pipeFromFd(fd), readable });
  if (readable) {
    child._closesNeeded++;
    socket.on('close', () => maybeClose(child));
  }
  return socket;
}

module.exports = { ChildProcess, NodeChildProcess, kExtraFds, spawn };
