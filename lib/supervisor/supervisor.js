'use strict';
// @ts-check

// The supervisor: places for workers, and what is done with all of them.

const { EventEmitter } = require('node:events');

const { engine } = require('../native');
const { Coordination } = require('./coordination');
const { Ending } = require('./ending');
const { giveUpError, stoppedError } = require('./errors');
const { collect, countsOf } = require('./metrics');
const news = require('./news');
const { MAX_INSTANCES, checkOptions } = require('./options');
const { Place } = require('./place');
const { Prober } = require('./probe');
const { Questions } = require('./questions');
const { Replacing } = require('./replacing');
const { handleSignals } = require('./signals');
const { resolveStart } = require('./start');
const { runStatus, supervisorStatus, waitingStatus } = require('./status');
const { enter, updateRule } = require('./watching');
const { codedError, validateInteger, validateObject } = require('../errors');

/**
 * @typedef {import('./errors').Exit} Exit
 * @typedef {InstanceType<typeof import('./run').Run>} Run
 * @typedef {InstanceType<typeof import('./place').Place>} OnePlace
 * @typedef {import('./run').Start} Start
 */

let nextGroup = 1;

class Supervisor extends EventEmitter {
  /** @param {any} given */
  constructor(given) {
    super();
    this.options = checkOptions(given);
    this.name = this.options.name;
    this.group = nextGroup++;
    this.startedAt = Date.now();
    /** By number. @type {Map<number, OnePlace>} */
    this.places = new Map();
    /** Those that `scale` has closed, while somebody is in them. @type {Set<OnePlace>} */
    this.going = new Set();
    /** How many workers there are to be. */
    this.instances = this.options.instances;
    /** @type {'starting' | 'running' | 'reloading' | 'stopping' | 'stopped'} */
    this.state = 'starting';
    this.isReady = false;
    /** Not ready by wish: it stops after a delay. */
    this.isLeaving = false;
    this.generation = 1;
    this.counts = { restarts: 0, reloads: 0, hangs: 0, giveUps: 0, recycles: 0 };
    /** What workers that have ended had counted. @type {Record<string, number>} */
    this.past = {};
    /** A worker of this application has listened. */
    this.isServer = false;
    /** What is started from now on. @type {Omit<Start, 'group' | 'canMove'>} */
    this.template = resolveStart(this, {});
    this.replacing = new Replacing(this);
    this.questions = new Questions();
    this.coordination = new Coordination(this);
    this.prober = new Prober(this);
    this.ending = new Ending(this);
    /** @type {(() => void) | undefined} */
    this.forgetSignals = undefined;

    /** When all workers have been ready. @type {Promise<void>} */
    this.started = new Promise((resolve, reject) => {
      this.resolveStarted = resolve;
      this.rejectStarted = reject;
    });
    this.started.catch(() => {});
    /** When all has ended: why. It never rejects. @type {Promise<{ reason: string, error?: Error }>} */
    this.stopped = new Promise((resolve) => {
      this.resolveStopped = resolve;
    });
    this.begin();
  }

  begin() {
    enter(this);
    if (this.options.signals) this.forgetSignals = handleSignals(this);
    const places = this.makePlaces();
    updateRule(this);
    // Whoever called has its listeners on first.
    process.nextTick(() => {
      for (const place of places) place.begin();
    });
  }

  /** What the next worker is started with. @returns {Start} */
  current() {
    return { ...this.template, group: this.group, canMove: true };
  }

  get isStopping() {
    return this.state === 'stopping' || this.state === 'stopped';
  }

  /** The event loop turns, and it has not stopped: for whoever asks whether this process is to be restarted. */
  get isLive() {
    return this.state !== 'stopped';
  }

  /** Makes the places that are missing; those. */
  makePlaces() {
    const made = [];
    for (let id = 1; this.places.size < this.instances; id++) {
      if (this.places.has(id)) continue;
      const place = new Place(this, id);
      this.places.set(id, place);
      made.push(place);
    }
    return made;
  }

  /** How a worker is told to go while others take over. @param {string} reason */
  drainOptions(reason) {
    const { stopTimeout, idleGrace } = this.options;
    return { reason, timeout: stopTimeout, idleGrace: Math.min(idleGrace, stopTimeout / 2), move: true };
  }

  /** A worker has been started. @param {OnePlace} place @param {Run} run */
  launched(place, run) {
    run.worker.once('listening', () => (this.isServer = true));
    news.launched(this, place, run);
  }

  /** @param {OnePlace} place @param {Run} run */
  onReady(place, run) {
    news.ready(this, place, run);
    this.coordination.joined(place, run);
    this.changed();
  }

  /** Something about the workers has changed: who leads, whether all have started, whether this is ready. */
  changed() {
    this.coordination.elect();
    const places = [...this.places.values()];
    const isSettled = (/** @type {OnePlace} */ { run, isClosed }) => isClosed || run?.state === 'ready';
    if (this.state === 'starting' && places.length > 0 && places.every(isSettled)) {
      this.setState('running');
      this.resolveStarted();
    }
    const isReady = !this.isLeaving && !this.isStopping && this.countReady() > 0;
    if (isReady === this.isReady) return;
    this.isReady = isReady;
    this.emit(isReady ? 'ready' : 'unready');
  }

  countReady() {
    let count = 0;
    for (const { run } of this.places.values()) if (run?.state === 'ready') count++;
    return count;
  }

  /** @param {Supervisor['state']} state */
  setState(state) {
    if (this.state === state) return;
    this.state = state;
    this.emit('state', state);
  }

  /**
   * One line for whoever keeps a log.
   * @param {'info' | 'warn' | 'error'} level
   * @param {string} event
   * @param {string} message
   * @param {object} [data]
   */
  log(level, event, message, data) {
    this.emit('log', { level, event, message, name: this.name, ...data });
  }

  /** @param {OnePlace} place @param {Run} run @param {Exit} exit */
  onEnded(place, run, exit) {
    this.coordination.left(place, run);
    this.questions.left(run);
    this.keepCounts(run);
    news.ended(this, place, run, exit);
    this.changed();
  }

  /** What it counted stays in the sums. @param {Run} run */
  keepCounts(run) {
    for (const [name, count] of Object.entries(countsOf(run)))
      this.past[name] = (this.past[name] ?? 0) + count;
  }

  /** @param {OnePlace} place @param {Exit} exit @param {number} delay */
  onRestart(place, exit, delay) {
    this.counts.restarts++;
    news.restarts(this, place, exit, delay);
  }

  /** @param {OnePlace} place @param {Run} run @param {number} silentFor @param {string} letter */
  onHung(place, run, silentFor, letter) {
    const stack = engine.superviseStack(run.watch) ?? undefined;
    this.counts.hangs++;
    run.state = 'hung';
    run.why = `its event loop was stuck for ${silentFor} ms${stack === undefined ? '' : `, ${stack.split('\n')[0].trim()}`}`;
    news.hung(this, place, run, { silentFor, stack, state: letter });
  }

  /** @param {OnePlace} place @param {Exit} exit */
  onFinished(place, exit) {
    this.log('info', 'worker:finished', `worker ${place.id} ${exit.reason} and is not started again`, {
      id: place.id,
    });
    this.changed();
    this.finishIfEmpty();
  }

  /** Nobody is left, and nobody is to come. */
  finishIfEmpty() {
    if (!this.hasLiving()) void this.ending.finish('finished');
  }

  hasLiving() {
    return [...this.places.values()].some((place) => !place.isClosed || place.runs().length > 0);
  }

  /** @param {OnePlace} place @param {Exit} exit @param {'worker' | 'app'} scope */
  onGiveUp(place, exit, scope) {
    const isAll = scope === 'app' || this.countReady() === 0;
    const { period, intensity, appIntensity } = this.options;
    const limit = scope === 'app' ? appIntensity : intensity;
    const reason = `worker ${place.id} ${exit.reason}, after ${limit} ${limit === 1 ? 'restart' : 'restarts'} within ${period} ms`;
    this.counts.giveUps++;
    news.givenUp(this, {
      scope: isAll ? 'app' : 'worker',
      worker: place.id,
      reason,
      exit,
      restarts: limit,
      period,
    });
    this.changed();
    if (isAll) void this.ending.finish('giveUp', giveUpError(reason, exit));
  }

  /**
   * Ends all workers: each finishes what it has begun.
   * @param {{ timeout?: number, drainDelay?: number, force?: boolean, signal?: string }} [options]
   */
  async stop({
    timeout = this.options.stopTimeout,
    drainDelay = this.options.drainDelay,
    force = false,
    signal,
  } = {}) {
    validateInteger(timeout, 'options.timeout', 0, 2 ** 31 - 1);
    validateInteger(drainDelay, 'options.drainDelay', 0, 2 ** 31 - 1);
    if (force) this.kill();
    this.ending.done ??= this.ending.stopAfter(force ? 0 : drainDelay, timeout, signal);
    await this.ending.done;
  }

  /** Kills all workers and all that came from them, at once. */
  kill() {
    for (const place of this.allPlaces()) place.kill('killed');
    this.ending.atOnce();
  }

  /**
   * Replaces all workers, with code and environment read anew; each new one is ready before the old one goes.
   * @param {{ env?: Record<string, string>, exec?: string, args?: string[] }} [changes]
   */
  async reload(changes = {}) {
    validateObject(changes, 'options');
    if (this.isStopping || this.isLeaving) throw stoppedError('There is nothing to reload');
    return this.replacing.reload(changes);
  }

  /**
   * Replaces one worker, or all, with the code that runs.
   * @param {number} [id]
   */
  async restart(id) {
    if (id === undefined) {
      await this.replacing.inTurn(async () => {
        for (const place of this.places.values())
          if (!place.isClosed) await place.replace(this.current(), 'restart');
      });
      return;
    }
    const place = this.placeOf(id);
    await this.replacing.inTurn(async () => {
      // One that was given up gets another chance.
      place.isClosed = false;
      await place.replace(this.current(), 'restart');
    });
  }

  /** @param {number} id */
  placeOf(id) {
    const place = this.places.get(id);
    if (place === undefined)
      throw codedError(
        'ERR_INVALID_ARG_VALUE',
        'id',
        id,
        `must be one of ${[...this.places.keys()].join(', ')}`,
      );
    return place;
  }

  /**
   * Has so many workers run.
   * @param {number} count
   */
  async scale(count) {
    validateInteger(count, 'count', 1, MAX_INSTANCES);
    if (this.isStopping || this.isLeaving) throw stoppedError('There is nothing to scale');
    return this.replacing.resize(count, 'hand');
  }

  /** @param {number} count @param {number} utilization */
  onRule(count, utilization) {
    if (this.isStopping || this.isLeaving) return;
    this.replacing.resize(count, 'rule', utilization).catch(() => {});
  }

  /** Sends an ordinary message to every worker that is connected; how many those are. @param {any} message */
  broadcast(message) {
    let count = 0;
    for (const { worker } of this.runs()) {
      if (!worker.isConnected()) continue;
      worker.send(message, () => {});
      count++;
    }
    return count;
  }

  /** All places with somebody in them, those that are given up by `scale` too. */
  allPlaces() {
    return [...this.places.values(), ...this.going];
  }

  runs() {
    return this.allPlaces().flatMap((place) => place.runs());
  }

  /** Sends a message of the supervisor's to all workers. @param {object} message */
  tellAll(message) {
    for (const run of this.runs()) run.send(message);
  }

  /** @param {OnePlace} place @param {Run} run @param {any} message */
  onMessage(place, run, message) {
    if (message.act === 'answer') this.questions.answered(run, message);
    else this.coordination.onMessage(place, run, message);
  }

  /**
   * Asks one worker, which answers by `answer()`.
   * @param {number} id
   * @param {string} question
   * @param {any} [payload]
   * @param {{ timeout?: number }} [options]
   */
  async ask(id, question, payload, options) {
    const { run } = this.placeOf(id);
    if (run === undefined)
      throw Object.assign(new Error(`worker ${id} does not run`), { code: 'ERR_RCLUSTER_NO_WORKER' });
    return this.questions.ask(run, question, payload, options);
  }

  /** One entry for each process, and for each place that waits for one. @returns {any[]} */
  get workers() {
    return this.allPlaces().flatMap((place) => {
      const runs = place.runs().map((run) => runStatus(this, place, run));
      return /** @type {any[]} */ (runs.length > 0 ? runs : [waitingStatus(this, place)]);
    });
  }

  status() {
    return supervisorStatus(this);
  }

  /** @param {{ pss?: boolean }} [options] */
  metrics(options) {
    return collect(this, options);
  }

  get store() {
    return this.coordination.store;
  }

  /** The worker that leads. @returns {number | undefined} */
  get leader() {
    return this.coordination.leader?.place;
  }

  async [Symbol.asyncDispose]() {
    await this.stop();
  }
}

module.exports = { Supervisor };
