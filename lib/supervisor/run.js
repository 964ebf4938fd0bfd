'use strict';
// @ts-check

// One run of a worker: from its start to its end.

const { EventEmitter } = require('node:events');

const handoff = require('../cluster/handoff');
const { engine } = require('../native');
const { describeEnd, errorLine } = require('./errors');
const { Tail } = require('./tail');
const { after } = require('./timers');
const { VARIABLE, listen, send } = require('./wire');

/** @type {any} */
const cluster = require('node:cluster');

const PRELOAD = require.resolve('./preload');
/** How long the last of a worker's output may take to arrive after its end, in milliseconds. */
const OUTPUT_GRACE = 100;
/** How often it is looked whether that has come, in milliseconds. */
const LOOK_AGAIN = 5;

/**
 * Who takes a worker's output over: what `options.stdio` returns, if it is a function.
 * @typedef {object} Output
 * @property {any[]} stdio as for fork()
 * @property {() => void} started its descriptors have been passed on, or are not needed
 * @property {() => boolean} isRead whether all that it printed to stderr has been read
 * @property {() => string} tail the end of that
 */

/**
 * @typedef {import('./errors').Exit} Exit
 * @typedef {object} Start what a run is started with
 * @property {string} script
 * @property {string[]} args
 * @property {string | undefined} cwd
 * @property {Record<string, any>} env beyond this process's own
 * @property {any} options of the supervisor
 * @property {number} generation
 * @property {number} group the supervisor's number in the engine
 * @property {boolean} canMove whether there is somebody to take this worker's connections over
 *
 * @typedef {'starting' | 'ready' | 'draining' | 'stopping' | 'hung' | 'ended'} RunState
 */

/** Emits 'ready', 'failing' (error), 'message' (message), 'ended' (exit), 'stdio'. */
class Run extends EventEmitter {
  /** @param {number} place @param {Start} start */
  constructor(place, start) {
    super();
    this.place = place;
    this.start = start;
    this.generation = start.generation;
    /** @type {RunState} */
    this.state = 'starting';
    this.startedAt = Date.now();
    /** @type {number | undefined} */
    this.readyAt = undefined;
    this.hasListened = false;
    /** Why it ends, where that is somebody's wish or was found out. @type {string | undefined} */
    this.why = undefined;
    /** Its end is wished. */
    this.isWished = false;
    this.tail = new Tail();
    /** @type {Exit | undefined} */
    this.exit = undefined;
    /** @type {(() => void) | undefined} */
    this.cancelReadyTimer = undefined;
    /** The warden's number for it; below 0 where it does not watch. @type {number} */
    this.watch = -1;
    /** What it told last, once it has ended. @type {number[] | undefined} */
    this.lastNumbers = undefined;
    /** Requests after which it is replaced; 0 for no limit. @type {number | undefined} */
    this.requestLimit = undefined;
    /** @type {number | undefined} */
    this.knownPid = undefined;
    /** @type {any} */
    this.worker = undefined;
    /** @type {Output | undefined} */
    this.output = undefined;
    this.fork();
  }

  get process() {
    return this.worker.process;
  }

  get pid() {
    return this.knownPid;
  }

  /** Sets the cluster up for this run, and forks. */
  fork() {
    const { script, args, cwd, env, options } = this.start;
    const { maxOldSpaceMb } = options;
    const execArgv = [...options.execArgv, '--require', PRELOAD];
    if (maxOldSpaceMb !== undefined) execArgv.push(`--max-old-space-size=${maxOldSpaceMb}`);
    const output = typeof options.stdio === 'function' ? options.stdio({ id: this.place }) : undefined;
    const settings = {
      ...extrasFrom(options),
      exec: script,
      args,
      cwd,
      execArgv,
      silent: options.silent === true,
      stdio: output?.stdio ?? options.stdio ?? (options.silent === true ? undefined : defaultStdio()),
      serialization: options.serialization,
      inspectPort: options.inspectPort,
      uid: options.uid,
      gid: options.gid,
      windowsHide: options.windowsHide,
      affinity: options.affinity,
      killTree: true,
    };
    const { schedulingPolicy } = options;
    // Undefined ones too: they take the place of what another supervisor has set.
    cluster.setupPrimary(schedulingPolicy === undefined ? settings : { ...settings, schedulingPolicy });
    const told = {
      place: this.place,
      waitReady: options.waitReady,
      watchHeap: options.recycle.heap !== undefined,
    };
    this.output = output;
    try {
      // From 0, and by the name that it has under PM2: libraries know it.
      const NODE_APP_INSTANCE = `${this.place - 1}`;
      this.worker = cluster.fork({ NODE_APP_INSTANCE, ...env, [VARIABLE]: JSON.stringify(told) });
    } finally {
      output?.started();
    }
    const { worker } = this;
    const child = worker.process;
    const handle = child._handle;
    this.knownPid = handle?.pid;
    if (handle)
      this.watch = engine.superviseWatch(handle.id, handoff.numberOf(worker) ?? -1, this.start.group);
    if (child.stderr)
      child.stderr.on('data', (/** @type {Buffer} */ chunk) => this.tail.add(Buffer.from(chunk)));

    listen(child, (message) => this.onMessage(message));
    worker.once('listening', () => {
      this.hasListened = true;
      if (options.waitReady !== true && options.waitReady !== 'online') this.becomeReady();
    });
    if (options.waitReady === 'online') worker.once('online', () => this.becomeReady());
    worker.on('error', (/** @type {any} */ error) => this.onError(error));
    child.once('exit', (/** @type {any} */ code, /** @type {any} */ signal) => this.onExit(code, signal));
    this.cancelReadyTimer = after(options.readyTimeout, () => this.emit('late'));
  }

  becomeReady() {
    if (this.state !== 'starting') return;
    this.cancelReadyTimer?.();
    this.state = 'ready';
    this.readyAt = Date.now();
    if (this.watch >= 0) engine.superviseReady(this.watch, true);
    this.arm();
    this.emit('ready');
  }

  /** Sets the limits, or sets them anew once one was reached. */
  arm() {
    const { hangTimeout, recycle, execArgv } = this.start.options;
    // Whoever debugs a worker stops it for as long as he likes.
    const isDebugged = [...execArgv, process.env.NODE_OPTIONS ?? ''].some((arg) => arg.includes('--inspect'));
    // So that not all workers reach it at once.
    this.requestLimit ??= Math.round(
      (recycle.requests ?? 0) * (1 + recycle.jitter * (Math.random() * 2 - 1)),
    );
    if (this.watch < 0) return;
    engine.superviseLimits(
      this.watch,
      isDebugged ? 0 : hangTimeout,
      recycle.rss ?? 0,
      recycle.heap ?? 0,
      this.requestLimit,
    );
  }

  /** @param {any} message */
  onMessage(message) {
    switch (message.act) {
      case 'ready':
        return this.becomeReady();
      case 'failing':
        if (this.isOver) return undefined;
        this.why = message.reason;
        return this.emit('failing', message.reason);
      case 'leaving':
        if (this.isOver) return undefined;
        return this.emit('leaving', message.reason);
      default:
        return this.emit('message', message);
    }
  }

  get isOver() {
    return this.state !== 'starting' && this.state !== 'ready';
  }

  /** The spawn failed, or something else about the process did. @param {any} error */
  onError(error) {
    if (this.worker.process.pid === undefined && this.exit === undefined) {
      this.tail.add(Buffer.from(`${error?.message ?? error}\n`));
      this.why ??= `could not be started: ${error?.message ?? error}`;
      this.onExit(null, null);
    }
  }

  /** @param {number | null} code @param {string | null} signal */
  onExit(code, signal) {
    if (this.output !== undefined) return this.onRead(() => this.onEnd(code, signal));
    const { stderr } = this.worker.process;
    if (!stderr || stderr.destroyed || stderr.readableEnded) return this.onEnd(code, signal);
    // What it wrote last may not have been read yet; a process that it left behind may hold the pipe open.
    let isDone = false;
    const end = () => {
      if (isDone) return;
      isDone = true;
      clearTimeout(timer);
      this.onEnd(code, signal);
    };
    const timer = setTimeout(end, OUTPUT_GRACE);
    stderr.once('close', end);
  }

  /** Calls back when all that it wrote has been read, or when that takes too long. @param {() => void} callback */
  onRead(callback) {
    const deadline = Date.now() + OUTPUT_GRACE;
    const look = () => {
      if (this.output === undefined || this.output.isRead() || Date.now() > deadline) callback();
      else setTimeout(look, LOOK_AGAIN);
    };
    look();
  }

  /** @param {number | null} code @param {string | null} signal */
  onEnd(code, signal) {
    if (this.exit !== undefined) return;
    this.cancelReadyTimer?.();
    const wasStarting = this.state === 'starting';
    this.state = 'ended';
    const stderr = this.tail.toString() + (this.output?.tail() ?? '');
    const end = describeEnd(code, signal);
    const line = this.isWished ? undefined : errorLine(stderr);
    const why = this.why ?? line;
    this.exit = {
      pid: this.pid,
      code,
      signal,
      reason: `${end}${wasStarting && !this.isWished ? ' before it was ready' : ''}${why === undefined ? '' : `: ${why}`}`,
      uptime: Date.now() - this.startedAt,
      at: Date.now(),
      stderr,
      wished: this.isWished,
    };
    this.lastNumbers = this.numbers();
    if (this.watch >= 0) engine.superviseUnwatch(this.watch);
    this.emit('ended', this.exit);
  }

  /** What it has told of itself. @returns {number[]} */
  numbers() {
    return this.lastNumbers ?? (this.watch >= 0 ? engine.superviseTold(this.watch) : []);
  }

  /** Sends it a message of the supervisor's. @param {object} message */
  send(message) {
    return send(this.worker.process, message);
  }

  /**
   * Has it finish what it has begun, and end; kills it and all it started if it has not within the time.
   * @param {{ reason: string, timeout: number, idleGrace: number, move: boolean, code?: number, isWished?: boolean }} how
   * @returns {Promise<Exit>}
   */
  drain({ reason, timeout, idleGrace, move, code = 0, isWished = true }) {
    if (this.exit !== undefined) return Promise.resolve(this.exit);
    this.isWished ||= isWished;
    if (isWished) this.why ??= reason;
    const ended = new Promise((resolve) => this.once('ended', resolve));
    if (this.state !== 'hung') this.state = 'draining';
    this.cancelReadyTimer?.();
    this.stopConnections();
    if (this.watch >= 0) engine.superviseDeadline(this.watch, timeout);
    // Without a channel nobody would hear.
    if (!this.send({ act: 'drain', reason, timeout, idleGrace, move, code })) this.process.kill('SIGTERM');
    return ended;
  }

  /** No more connections come to it; those it has not taken go to others. */
  stopConnections() {
    this.worker.exitedAfterDisconnect = true;
    this.worker.pause();
    handoff.takeBack(this.worker);
    if (this.watch >= 0) engine.superviseReady(this.watch, false);
  }

  /**
   * Kills it and all it started, at once.
   * @param {string} why
   * @param {boolean} isWished
   * @returns {Promise<Exit>}
   */
  kill(why, isWished) {
    if (this.exit !== undefined) return Promise.resolve(this.exit);
    this.why ??= why;
    this.isWished ||= isWished;
    this.state = 'stopping';
    const ended = new Promise((resolve) => this.once('ended', resolve));
    this.process.killTree('SIGKILL');
    return ended;
  }
}

function defaultStdio() {
  // On a terminal a worker's own output should look as it does without us; whoever reads it there needs no tail.
  return ['ignore', 'inherit', process.stderr.isTTY ? 'inherit' : 'pipe', 'ipc'];
}

const EXTRAS = ['rlimits', 'nice', 'ionice', 'oomScoreAdj', 'umask', 'groups', 'cgroup', 'closeFds'];

/** @param {any} options */
function extrasFrom(options) {
  return Object.fromEntries(EXTRAS.map((name) => [name, options[name]]));
}

module.exports = { Run };
