'use strict';
// @ts-check

// The child as its user sees it: an EventEmitter whose prototype chain runs through Node's own ChildProcess, so
// that `instanceof`, `kill`, `ref`, `unref` and `Symbol.dispose` are the running Node line's own, over a
// `_handle` that is ours.

const nodeChildProcess = require('node:child_process');
const diagnostics = require('node:diagnostics_channel');
const { EventEmitter } = require('node:events');
const net = require('node:net');
const os = require('node:os');
const { isMainThread } = require('node:worker_threads');

const { errnoException, validateArray, validateObject, validateOneOf, validateString } = require('../errors');
const { engine } = require('../native');
const { setupChannel } = require('./channel');
const { ChildHandle, setPid } = require('./child_handle');
const { nativeExtras, signalNumber, stepError, treeResult, usageObject } = require('./extras');
const { pipeFrom, pauseHandle } = require('./handles');
const { childExtras, state } = require('./install');
const { checkPermission, packStrings } = require('./environment');
const { getValidStdio } = require('./stdio');
const {
  SafeSet,
  arrayIncludes,
  arrayMap,
  arrayPush,
  arraySlice,
  create,
  defineProperty,
  entries,
  methodDescriptor,
  nodeMajor,
  setPrototypeOf,
} = require('../untampered');

const NodeChildProcess = nodeChildProcess.ChildProcess;

/** The errnos Node reports by an 'error' event; it throws the others. */
const { EACCES, EAGAIN, EMFILE, ENFILE, ENOENT } = os.constants.errno;
const reportedByEvent = new SafeSet([-EACCES, -EAGAIN, -EMFILE, -ENFILE, -ENOENT]);

/** Descriptors the child inherits in the slots after its visible stdio. */
const kExtraFds = Symbol('rcluster.extraFds');
const kIsUsedAsStdio = Symbol('rcluster.isUsedAsStdio');
const kCloseGrace = Symbol('rcluster.closeGrace');
const kUsage = Symbol('rcluster.usage');

/** The longest string Linux takes as one argument. */
const MAX_ARG_STRLEN = 128 * 1024;

const STDIO_IGNORE = -1;
const STDIO_PIPE = -2;
const STDIO_CHANNEL = -3;

const created = diagnostics.channel('child_process');
// Node 24 has begun to publish it; older lines have the mechanism but not the channel.
const spawnTrace = nodeMajor >= 24 ? diagnostics.tracingChannel('child_process.spawn') : undefined;

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
  child._handle = new ChildHandle(child, onExit);
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
setPrototypeOf(ChildProcess, NodeChildProcess);
ChildProcess.prototype = create(NodeChildProcess.prototype, {
  constructor: methodDescriptor(ChildProcess),
  ...childExtras,
});
// Once registered, what people patch on the prototype of Node's class is what runs.
if (!state.isRegistered) {
  defineProperty(ChildProcess.prototype, 'spawn', methodDescriptor(spawn));
  state.ownSpawn = spawn;
}
state.ownPrototype = ChildProcess.prototype;

/**
 * @param {any} child
 * @param {number} exitCode negative: the exec failed with this errno
 * @param {string} signalCode
 * @param {any} [failure] the error, where it is not that of the exec
 */
function onExit(child, exitCode, signalCode, failure) {
  if (signalCode) child.signalCode = signalCode;
  else child.exitCode = exitCode;

  if (child.stdin) child.stdin.destroy();

  const { usage, lastSeen } = child._handle;
  if (usage) child[kUsage] = { ...usage, lastSeen };
  child._handle.close();
  child._handle = null;

  if (exitCode < 0) {
    const error = failure ?? errnoException(exitCode, child.spawnfile ? `spawn ${child.spawnfile}` : 'spawn');
    if (child.spawnfile) error.path = child.spawnfile;
    error.spawnargs = arraySlice(child.spawnargs, 1);
    child.emit('error', error);
  } else {
    child.emit('exit', child.exitCode, child.signalCode);
  }

  // On nextTick: a listener of 'exit' is the last chance to attach a reader before the rest is thrown away.
  process.nextTick(flushStdio, child);
  if (child[kCloseGrace] !== undefined) setTimeout(cutStdio, child[kCloseGrace], child);
  maybeClose(child);
}

/** Lets go of pipes that a grandchild still holds open. @param {any} child */
function cutStdio(child) {
  for (const stream of child.stdio ?? []) if (stream && !stream[kIsUsedAsStdio]) stream.destroy();
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

/**
 * Starts the process of a child made by `new ChildProcess()`, Node's or ours.
 * @this {any}
 * @param {any} options as `normalizeSpawnArguments` makes them
 * @returns {number} 0 or the negative errno of a failure that is reported by an 'error' event
 */
function spawn(options) {
  validateObject(options, 'options');
  adopt(this);
  const extras = nativeExtras(options);

  const { stdio, ipcFd } = getValidStdio(options.stdio || 'pipe', false);
  options.stdio = stdio;
  validateOneOf(options.serialization, 'options.serialization', [undefined, 'json', 'advanced']);
  const serialization = options.serialization || 'json';

  /** @type {string[]} */
  const extraEnv = [];
  if (ipcFd !== undefined) {
    if (options.envPairs === undefined) options.envPairs = [];
    else validateArray(options.envPairs, 'options.envPairs');
    arrayPush(extraEnv, `NODE_CHANNEL_FD=${ipcFd}`, `NODE_CHANNEL_SERIALIZATION_MODE=${serialization}`);
    arrayPush(options.envPairs, ...extraEnv);
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

  checkPermission(options.file);
  const plan = stdioPlan(stdio, options[kExtraFds]);
  const { errno, failure, pipes } = start(this, plan, options, extraEnv, extras);
  if (errno !== 0) {
    if (spawnTrace?.hasSubscribers) {
      spawnTrace.error.publish({ process: this, error: failure ?? errnoException(errno, 'spawn') });
    }
    if (failure === undefined && !reportedByEvent.has(errno)) {
      engine.dropPipes(pipes);
      this._handle.close();
      this._handle = null;
      throw errnoException(errno, 'spawn');
    }
    process.nextTick(onExit, this, errno, '', failure);
    // Node gives up here too: without descriptors there are no streams.
    if (errno === -EMFILE || errno === -ENFILE) {
      engine.dropPipes(pipes);
      return errno;
    }
    setPid(this, undefined);
  } else if (spawnTrace?.hasSubscribers) {
    spawnTrace.end.publish({ process: this });
  }

  const streams = arrayMap(stdio, (entry, slot) => streamOf(this, entry, slot, pipes));
  // In Node's order, which is what a printed child shows.
  this.stdin = streams[0] ?? null;
  this.stdout = streams[1] ?? null;
  this.stderr = streams[2] ?? null;
  this.stdio = streams;

  if (ipcFd !== undefined) setupChannel(this, () => engine.takePipe(pipes, ipcFd), serialization, maybeClose);
  return errno;
}

/**
 * Starts the process.
 * @param {any} child
 * @param {Int32Array} plan
 * @param {any} options
 * @param {string[]} extraEnv
 * @param {any} extras
 * @returns {{ errno: number, pipes: number, failure?: Error }} a `failure` is the error of something Node has no
 *   option for; `pipes` is the key of this side's ends of the pipes
 */
function start(child, plan, options, extraEnv, extras) {
  const result = new Int32Array(3);
  const args = packStrings(child.spawnargs.length === 0 ? [options.file] : child.spawnargs);
  const env = environmentOf(options);
  const errno = engine.spawn(
    plan,
    result,
    options.file,
    args,
    env,
    env === undefined ? packStrings(extraEnv) : undefined,
    options.cwd ? `${options.cwd}` : undefined,
    !!options.detached,
    options.uid ?? undefined,
    options.gid ?? undefined,
    extras,
  );
  const [id, pid, pipes] = result;
  if (errno !== 0) return { errno, pipes };

  const isKnown = mayThrow(options, args.length + (env?.length ?? 0));
  if (isKnown) {
    const step = new Int32Array(1);
    const outcome = engine.settle(id, step);
    if (outcome !== 0) return { errno: outcome, pipes, failure: stepError(outcome, step[0], options.file) };
  }
  const handle = child._handle;
  handle.started(id, pid);
  if (isKnown) handle.startedForSure();
  handle.wholeTree = !!options.killTree;
  handle.killAfter = options.killAfter ?? undefined;
  if (options.closeGrace != null) child[kCloseGrace] = options.closeGrace;
  return { errno, pipes };
}

/**
 * Whether the exec may fail in a way that Node throws, not reports by an event: without the right to become another
 * user, or with more than the kernel takes as arguments. Its outcome is then waited for; so it is where somebody traces
 * spawns, and is told of it before `spawn` returns.
 * @param {any} options
 * @param {number} length of arguments and environment
 */
function mayThrow(options, length) {
  if (spawnTrace?.hasSubscribers) return true;
  return options.uid != null || options.gid != null || length > MAX_ARG_STRLEN;
}

/** Puts our handle behind a child that Node's own constructor made. @param {any} child */
function adopt(child) {
  if (child._handle instanceof ChildHandle) return;
  child._handle?.close();
  child._handle = new ChildHandle(child, onExit);
}

/**
 * Signals this child and every process that came from it.
 * @this {any}
 * @param {string | number} [signal] SIGTERM unless given
 * @returns {{ signal: string | number, pids: number[], failed: Array<{ pid: number, error: Error }> }} who got it, and who could not be signalled
 */
function killTree(signal = 'SIGTERM') {
  const number = signalNumber(signal);
  const handle = this._handle;
  if (!(handle instanceof ChildHandle) || handle.id === -1) return treeResult(null, signal);
  const result = engine.killTree(handle.id, number);
  if (result !== null && arrayIncludes(result.pids, handle.pid)) {
    this.killed = true;
    if (number !== 0) handle.escalate();
  }
  return treeResult(result, signal);
}

/**
 * What this child has used: processor times in microseconds, peak memory in KiB, page faults, blocks, switches.
 *
 * Once it has ended, as the kernel counted it. Linux then gives as peak memory no less than this process's own
 * peak; where it gives no more than that, the peak was not measured and `maxRSS` is the last one seen while the
 * child lived, or undefined.
 * @this {any}
 */
function resourceUsage() {
  const handle = this._handle;
  if (handle instanceof ChildHandle && handle.id !== -1) {
    const live = engine.liveUsage(handle.pid);
    if (live.length > 0) handle.lastSeen = usageObject(live);
    return handle.lastSeen && { ...handle.lastSeen };
  }
  const usage = this[kUsage];
  if (usage === undefined) return undefined;
  const { lastSeen, ...ended } = usage;
  if (ended.maxRSS <= engine.ownPeak()) ended.maxRSS = lastSeen?.maxRSS;
  return ended;
}

/**
 * The environment in the engine's form; undefined for that of this process, which the engine copies itself.
 * @param {any} options
 */
function environmentOf({ envPairs, inheritEnv }) {
  if (!inheritEnv && envPairs !== undefined) return packStrings(envPairs);
  // Only the main thread may read the process's own, and a worker has another anyway.
  return isMainThread
    ? undefined
    : packStrings(arrayMap(entries(process.env), (entry) => `${entry[0]}=${entry[1]}`));
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
    else if (type === 'pipe' || type === 'overlapped') plan[slot] = STDIO_PIPE;
    else if (type === 'ipc') plan[slot] = STDIO_CHANNEL;
    else plan[slot] = type === 'wrap' ? handle.fd : fd;
  }
  plan.set(extraFds, stdio.length);
  return plan;
}

/** Whether this entry got a socket pair. @param {any} entry */
function isPipe(entry) {
  return entry.type === 'pipe' || entry.type === 'overlapped' || entry.type === 'ipc';
}
/**
 * The stream the user gets for one slot, or null.
 * @param {any} child
 * @param {any} entry
 * @param {number} slot
 * @param {number} pipes the key of this side's ends
 */
function streamOf(child, entry, slot, pipes) {
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
  const socket = new net.Socket(
    /** @type {any} */ ({ handle: pipeFrom(() => engine.takePipe(pipes, slot)), readable }),
  );
  if (readable) {
    child._closesNeeded++;
    socket.on('close', () => maybeClose(child));
  }
  return socket;
}

/** Whether somebody will look at the options that a child is started with: who replaced its `spawn`, or a tracer. @param {any} child */
function isWatched(child) {
  return child.spawn !== state.ownSpawn || spawnTrace?.hasSubscribers === true;
}

/** What the prototypes' methods do. */
const methods = { killTree, resourceUsage, spawn };

module.exports = { ChildProcess, isWatched, kExtraFds, methods };
