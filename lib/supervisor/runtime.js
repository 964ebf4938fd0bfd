'use strict';
// @ts-check

// The worker's side: it tells what it uses, ends in order, and asks the primary for what workers share. One for each
// process, whichever copy of this package an application loads.

const { EventEmitter } = require('node:events');
const { inspect } = require('node:util');

const { drainConnections } = require('./drain');
const { listen, send, VARIABLE } = require('./wire');

const KEY = Symbol.for('rcluster.supervisor.runtime');
/** What is left of the time to end in, when connections are waited for no more. */
const CLEAN_UP_SHARE = 0.2;
/** The longest that clean-up may be worth breaking off connections for, in milliseconds. */
const CLEAN_UP_MAX = 5000;
/** Time to end in for a process without a supervisor, in milliseconds. */
const DEFAULT_TIMEOUT = 30_000;
const DEFAULT_GRACE = 100;

/** What the supervisor itself asks for. @type {Record<string, () => (payload: any) => any>} */
const builtin = {
  // @ts-expect-error: null prototype, so that no inherited name is taken for a question.
  __proto__: null,
  'rcluster:probe': () => require('./probed').probe,
  'rcluster:metrics': () => require('./worker_metrics').readMetrics,
};

/**
 * @typedef {object} Ending what hooks are told
 * @property {string} reason
 * @property {number} deadline milliseconds since 1970
 * @property {AbortSignal} signal aborted when the time is over
 *
 * @typedef {(ending: Ending) => any} Hook
 */

class Runtime {
  constructor() {
    /** @type {number | undefined} */
    this.place = undefined;
    this.isSupervised = false;
    this.isDraining = false;
    /** @type {Hook[]} */
    this.drainHooks = [];
    /** @type {Hook[]} */
    this.shutdownHooks = [];
    /** Answers to questions of the primary. @type {Map<string, (payload: any) => any>} */
    this.answers = new Map();
    /** Our own questions. @type {Map<number, (result: any) => void>} */
    this.waiting = new Map();
    this.lastQuestion = 0;
    this.leader = Object.assign(new EventEmitter(), { isLeader: false });
    /** By name and token. @type {Map<string, InstanceType<typeof import('./shared').Lock>>} */
    this.locks = new Map();
    /** @type {Promise<void> | undefined} */
    this.ending = undefined;
    this.isReadyTold = false;
    this.hasSignals = false;
    /** Its program has run to its end for the first time. */
    this.hasBegun = false;
  }

  /** Becomes the worker of a supervisor. @param {any} told */
  join(told) {
    this.place = told.place;
    this.isSupervised = true;
    // Learns of servers before the program makes any.
    require('../cluster');
    require('./drain').watch();
    require('./telling').start(told);
    listen(process, (message) => this.onMessage(message));
    // On a terminal it comes to all processes; the primary decides.
    process.on('SIGINT', () => {
      if (!process.connected) this.leave('SIGINT');
    });
    process.on('SIGTERM', () => this.leave('SIGTERM'));
    process.on('uncaughtException', onUncaught);
  }

  /** A process without a supervisor ends in order too, once it has a hook. */
  handleSignals() {
    if (this.isSupervised || this.hasSignals) return;
    this.hasSignals = true;
    require('./drain').watch();
    let isEnding = false;
    for (const signal of /** @type {const} */ (['SIGTERM', 'SIGINT'])) {
      process.on(signal, () => {
        if (isEnding) process.exit(128 + require('node:os').constants.signals[signal]);
        isEnding = true;
        this.leave(signal);
      });
    }
    process.on('uncaughtException', onUncaught);
  }

  /** @param {any} message */
  onMessage(message) {
    switch (message.act) {
      case 'drain':
        return void this.drain(message);
      case 'reply':
        this.waiting.get(message.number)?.(message.result);
        return this.waiting.delete(message.number);
      case 'ask':
        return void this.answer(message);
      case 'leader':
        this.setLeader(message.isLeader);
        return void (message.isLeader || send(process, { act: 'deposed' }));
      case 'lost':
        return this.locks.get(`${message.lock}:${message.token}`)?.lose();
      default:
        return undefined;
    }
  }

  /** Tells that it can work. */
  ready() {
    if (!this.isSupervised || this.isReadyTold) return;
    this.isReadyTold = true;
    send(process, { act: 'ready' });
  }

  /** @param {boolean} isLeader */
  setLeader(isLeader) {
    if (this.leader.isLeader === isLeader) return;
    this.leader.isLeader = isLeader;
    this.leader.emit(isLeader ? 'elected' : 'deposed');
  }

  /** @param {{ number: number, question: string, payload: any }} message */
  async answer({ number, question, payload }) {
    const answer = this.answers.get(question) ?? builtin[question]?.();
    try {
      if (answer === undefined)
        throw Object.assign(new Error(`nobody answers "${question}"`), { code: 'ERR_RCLUSTER_NO_HANDLER' });
      send(process, { act: 'answer', number, result: await answer(payload) });
    } catch (error) {
      const { message, code } = /** @type {any} */ (error ?? {});
      send(process, { act: 'answer', number, error: { message: message ?? String(error), code } });
    }
  }

  /**
   * Asks the primary.
   * @param {object} message
   * @param {(number: number) => void} [onNumber]
   * @returns {Promise<any>}
   */
  ask(message, onNumber) {
    return new Promise((resolve, reject) => {
      const number = ++this.lastQuestion;
      onNumber?.(number);
      this.waiting.set(number, resolve);
      if (this.isSupervised && send(process, { ...message, number })) return;
      this.waiting.delete(number);
      reject(
        Object.assign(new Error('There is no supervisor to ask'), { code: 'ERR_RCLUSTER_UNSUPERVISED' }),
      );
    });
  }

  /** Somebody wants this process to end. @param {string} reason */
  leave(reason) {
    if (this.isDraining) return;
    // The supervisor, who tells how, has connections go to others first.
    if (this.isSupervised && send(process, { act: 'leaving', reason })) return;
    void this.drain({ reason, timeout: DEFAULT_TIMEOUT, idleGrace: DEFAULT_GRACE, move: false, code: 0 });
  }

  /**
   * Ends this process: finishes what was begun, runs the hooks, exits.
   * @param {{ reason?: string, timeout?: number, idleGrace?: number, move?: boolean, code?: number }} [how]
   */
  drain({
    reason = 'stop',
    timeout = DEFAULT_TIMEOUT,
    idleGrace = DEFAULT_GRACE,
    move = false,
    code = 0,
  } = {}) {
    this.ending ??= this.end(reason, timeout, idleGrace, move, code);
    return this.ending;
  }

  /** @param {string} reason @param {number} timeout @param {number} idleGrace @param {boolean} move @param {number} code */
  async end(reason, timeout, idleGrace, move, code) {
    this.isDraining = true;
    this.setLeader(false);
    const over = new AbortController();
    const ending = { reason, deadline: Date.now() + timeout, signal: over.signal };
    // The supervisor kills then; without one this does.
    setTimeout(() => {
      over.abort();
      if (!this.isSupervised) process.exit(code || 1);
    }, timeout).unref();

    const hooks = this.drainHooks.map((hook) => run(hook, ending));
    const cleanUpTime = Math.min(timeout * CLEAN_UP_SHARE, CLEAN_UP_MAX);
    await drainConnections({ move, idleGrace, timeout: timeout - cleanUpTime, hooks: Promise.all(hooks) });
    for (const hook of this.shutdownHooks.toReversed()) await run(hook, ending);

    const own = new Set(ownListeners());
    const others = process.listeners('SIGTERM').filter((listener) => !own.has(listener));
    if (this.isSupervised && others.length > 0 && !reason.startsWith('SIGTERM') && code === 0) {
      // Written for Node alone: it ends itself, and by now nothing is left that it could break off.
      process.emit('SIGTERM', 'SIGTERM');
      if (process.connected) process.disconnect();
      return;
    }
    if (this.isSupervised && others.length > 0 && reason.startsWith('SIGTERM')) {
      // It has had the signal, and is at it.
      if (process.connected) process.disconnect();
      return;
    }
    process.exit(code);
  }
}

/** @param {Hook} hook @param {Ending} ending */
async function run(hook, ending) {
  try {
    await hook(ending);
  } catch (error) {
    // The others are to run all the same.
    process.stderr.write(`${inspect(error)}\n`);
  }
}

/** @type {any[]} */
const own = [];
function ownListeners() {
  return own;
}

/** @param {any} error @param {string} origin */
function onUncaught(error, origin) {
  const instance = runtime();
  // The program looks after its errors itself.
  if (process.listenerCount('uncaughtException') > 1) return;
  const what = origin === 'unhandledRejection' ? 'unhandled rejection' : 'uncaught exception';
  const text = error instanceof Error ? (error.stack ?? `${error}`) : inspect(error);
  try {
    // At once, whatever stderr is: this process may not live to see it written.
    require('node:fs').writeSync(2, `Uncaught ${inspect(error)}\n`);
  } catch {
    // Nobody can be told.
  }
  const [line] = text.split('\n');
  if (instance.isDraining) return;
  const reason = `${what}: ${line}`;
  if (instance.isSupervised && instance.hasBegun && send(process, { act: 'failing', reason })) return;
  void instance.drain({ reason, timeout: DEFAULT_TIMEOUT, idleGrace: DEFAULT_GRACE, move: false, code: 1 });
}

/** The runtime of this process. @returns {Runtime} */
function runtime() {
  const holder = /** @type {any} */ (process);
  if (holder[KEY] === undefined) Object.defineProperty(holder, KEY, { value: new Runtime() });
  return holder[KEY];
}

/** In a worker that a supervisor has started. */
function supervised() {
  const told = JSON.parse(/** @type {string} */ (process.env[VARIABLE]));
  delete process.env[VARIABLE];
  const instance = runtime();
  const before = process.listeners('SIGTERM');
  instance.join(told);
  own.push(...process.listeners('SIGTERM').filter((listener) => !before.includes(listener)));
  // Once its program has run to its end for the first time it may have begun something; before, it has failed to start.
  setImmediate(() => (instance.hasBegun = true));
}

module.exports = { runtime, supervised };
