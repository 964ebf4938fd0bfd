// @ts-check
'use strict';

// The supervisor: places for workers, and what is done with all of them.

const { EventEmitter } = require('node:events');
const fs = require('node:fs');
const path = require('node:path');

const { engine, kinds, on } = require('../native');
const { Coordination } = require('./coordination');
const { giveUpError, reloadError, stoppedError } = require('./errors');
const { collect, countsOf } = require('./metrics');
const { MAX_INSTANCES, checkOptions, findScript, readEnvFile } = require('./options');
const { Place } = require('./place');
const { Prober } = require('./probe');
const { Questions } = require('./questions');
const { handleSignals } = require('./signals');
const { runStatus, waitingStatus } = require('./status');
const { after } = require('./timers');
const { codedError, validateInteger, validateObject } = require('../errors');

/**
 * @typedef {import('./errors').Exit} Exit
 * @typedef {InstanceType<typeof import('./run').Run>} Run
 * @typedef {InstanceType<typeof import('./place').Place>} OnePlace
 * @typedef {import('./run').Start} Start
 */

const RESTARTS = Object.freeze({ permanent: 0, transient: 1, temporary: 2 });
/** What is wrong with a worker: `Trouble` in src/supervise/health.rs. */
const TROUBLES = Object.freeze(['hang', 'rss', 'heap', 'requests']);
const KIB = 1024;
/** How long a connection that is idle is left open when nobody will serve it any more, in milliseconds. */
const LAST_IDLE_GRACE = 100;

/** @type {Map<number, Supervisor>} */
const supervisors = new Map();
let nextGroup = 1;

/** The supervisor, place and run of a watched worker. @param {number} watch */
function find(watch) {
  for (const supervisor of supervisors.values()) {
    for (const place of supervisor.places.values()) {
      const run = place.runs().find((run) => run.watch === watch);
      if (run !== undefined) return { supervisor, place, run };
    }
  }
  return undefined;
}

on(kinds.SUPERVISE_HUNG, (watch, silentFor, letter) => {
  const found = find(watch);
  found?.supervisor.onHung(found.place, found.run, silentFor, String.fromCharCode(letter));
});
on(kinds.SUPERVISE_KILLED, (watch) => {
  const found = find(watch);
  if (found === undefined) return;
  const { supervisor, place, run } = found;
  run.why = `${run.why ?? 'stopping'}, killed at its deadline`;
  supervisor.log(
    'warn',
    'worker:killed',
    `worker ${place.id} (pid ${run.pid}) has not ended in time and was killed`,
  );
});
on(kinds.SUPERVISE_OVER, (watch, trouble, value) => {
  const found = find(watch);
  if (found === undefined) return;
  const reason = TROUBLES[trouble];
  const { recycle } = found.supervisor.options;
  found.place.recycle(found.run, reason, reason === 'requests' ? value : value * KIB, recycle[reason]);
});
on(kinds.SUPERVISE_SCALE, (group, count, use) => supervisors.get(group)?.onRule(count, use / 1000));

/** Waits for all, and throws the first error that there was. @param {Promise<unknown>[]} promises */
async function settleAll(promises) {
  const results = await Promise.allSettled(promises);
  const failed = results.find((result) => result.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
}

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
    this.template = this.resolve({});
    /** Replacements wait for each other. @type {Promise<unknown>} */
    this.rolling = Promise.resolve();
    this.questions = new Questions();
    this.coordination = new Coordination(this);
    this.prober = new Prober(this);
    /** @type {Promise<void> | undefined} */
    this.ending = undefined;
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
    const { restart, intensity, appIntensity, period, backoff, signals } = this.options;
    supervisors.set(this.group, this);
    engine.superviseHold(true);
    engine.supervisePolicy(
      this.group,
      RESTARTS[/** @type {keyof typeof RESTARTS} */ (restart)],
      Math.min(intensity, 2 ** 31),
      Math.min(appIntensity, 2 ** 31),
      period,
      backoff.min,
      backoff.max,
      backoff.factor,
      backoff.jitter,
    );
    if (signals) this.forgetSignals = handleSignals(this);
    const places = this.makePlaces();
    this.updateRule();
    // Whoever called has its listeners on first.
    process.nextTick(() => {
      for (const place of places) place.begin();
    });
  }

  /** What is started, read anew: the environment, the directory and the script behind symbolic links. @param {any} changes */
  resolve({ env, exec = this.options.exec, args = this.options.args }) {
    const { options } = this;
    const script = findScript(exec, options.startDirectory);
    // Followed once for each generation, so that a worker that crashes does not start in the middle of a deployment.
    const cwd =
      options.cwd === undefined ? options.startDirectory : path.resolve(options.startDirectory, options.cwd);
    let realDirectory;
    try {
      realDirectory = fs.realpathSync(cwd);
    } catch (error) {
      const { code } = /** @type {NodeJS.ErrnoException} */ (error);
      throw Object.assign(new Error(`Cannot use the directory "${cwd}" (${code})`), { code, path: cwd });
    }
    const own = typeof options.env === 'function' ? options.env() : options.env;
    const fromFile = options.envFile && readEnvFile(path.resolve(options.startDirectory, options.envFile));
    return {
      script: fs.realpathSync(script),
      args: [...args],
      cwd: realDirectory,
      env: { PWD: realDirectory, ...fromFile, ...own, ...env },
      options,
      generation: this.generation,
    };
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

  /** Makes and fills the places that are missing; those. */
  fill() {
    const made = this.makePlaces();
    for (const place of made) place.begin();
    this.changed();
    return made;
  }

  updateRule() {
    const { scale } = this.options;
    if (!scale) return;
    const { min, max, target, upAfter, downAfter } = scale;
    engine.superviseGroup(this.group, this.instances, min, max, target, upAfter, downAfter);
  }

  /** How a worker is told to go while others take over. @param {string} reason */
  drainOptions(reason) {
    const { stopTimeout, idleGrace } = this.options;
    return { reason, timeout: stopTimeout, idleGrace: Math.min(idleGrace, stopTimeout / 2), move: true };
  }

  /** A worker has been started. @param {OnePlace} place @param {Run} run */
  launched(place, run) {
    run.worker.once('listening', () => (this.isServer = true));
    const { stdout, stderr } = run.process;
    if (stdout || stderr) {
      const isTaken = this.emit('worker:stdio', runStatus(this, place, run), { stdout, stderr });
      // Somebody has to read it, or the worker would wait.
      const isSilent = this.options.silent === true;
      if (!isTaken) {
        if (stdout) forward(stdout, isSilent ? undefined : process.stdout);
        if (stderr) forward(stderr, isSilent ? undefined : process.stderr);
      }
    }
    const status = runStatus(this, place, run);
    this.emit('worker:start', status);
    this.log('info', 'worker:start', `worker ${place.id} (pid ${run.pid}) started`, {
      id: place.id,
      pid: run.pid,
    });
  }

  /** @param {OnePlace} place @param {Run} run */
  onReady(place, run) {
    this.emit('worker:ready', runStatus(this, place, run));
    const took = Date.now() - run.startedAt;
    this.log('info', 'worker:ready', `worker ${place.id} (pid ${run.pid}) is ready after ${took} ms`, {
      id: place.id,
      pid: run.pid,
    });
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
    this.emit('worker:exit', runStatus(this, place, run), exit);
    const data = { id: place.id, pid: exit.pid, code: exit.code, signal: exit.signal, uptime: exit.uptime };
    this.log(
      exit.wished ? 'info' : 'warn',
      'worker:exit',
      `worker ${place.id} (pid ${exit.pid}) ${exit.reason}`,
      data,
    );
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
    this.emit('restart', waitingStatus(this, place), { delay, reason: exit.reason, exit });
    this.log('warn', 'restart', `worker ${place.id} ${exit.reason}; started again in ${delay} ms`, {
      id: place.id,
      delay,
    });
  }

  /** @param {OnePlace} place @param {Run} run @param {number} silentFor @param {string} letter */
  onHung(place, run, silentFor, letter) {
    const stack = engine.superviseStack(run.watch) ?? undefined;
    this.counts.hangs++;
    run.state = 'hung';
    run.why = `its event loop was stuck for ${silentFor} ms${stack === undefined ? '' : `, ${stack.split('\n')[0].trim()}`}`;
    this.emit('worker:hung', runStatus(this, place, run), { silentFor, stack, state: letter });
    const where = stack === undefined ? ` (process state ${letter})` : `:\n${stack}`;
    this.log(
      'error',
      'worker:hung',
      `worker ${place.id} (pid ${run.pid}) has been stuck for ${silentFor} ms${where}`,
      { id: place.id, pid: run.pid, silentFor, stack },
    );
  }

  /** @param {OnePlace} place @param {Exit} exit */
  onFinished(place, exit) {
    this.log('info', 'worker:finished', `worker ${place.id} ${exit.reason} and is not started again`, {
      id: place.id,
    });
    this.changed();
    if (this.hasLiving()) return;
    void this.finish('finished');
  }

  hasLiving() {
    return [...this.places.values()].some((place) => !place.isClosed || place.runs().length > 0);
  }

  /** @param {OnePlace} place @param {Exit} exit @param {'worker' | 'app'} scope */
  onGiveUp(place, exit, scope) {
    const isAll = scope === 'app' || this.countReady() === 0;
    const { period, intensity, appIntensity } = this.options;
    const limit = scope === 'app' ? appIntensity : intensity;
    const reason = `worker ${place.id} ${exit.reason}, after ${limit} restarts in ${period} ms`;
    this.counts.giveUps++;
    const info = {
      scope: isAll ? 'app' : 'worker',
      worker: place.id,
      reason,
      exit,
      stderr: exit.stderr,
      restarts: limit,
      period,
    };
    this.emit('giveUp', info);
    this.log(
      'error',
      'giveUp',
      isAll ? `giving up: ${reason}` : `giving up worker ${place.id}, the others go on: ${reason}`,
      { ...info, exit: undefined },
    );
    this.changed();
    if (isAll) void this.finish('giveUp', giveUpError(reason, exit));
  }

  /** Ends for a reason of its own. @param {string} reason @param {Error} [error] */
  async finish(reason, error) {
    if (this.isStopping) return;
    this.ending = this.end(this.options.stopTimeout, reason, error);
    await this.ending;
  }

  /** @param {number} timeout @param {string} reason @param {Error} [error] */
  async end(timeout, reason, error) {
    this.setState('stopping');
    this.changed();
    this.rejectStarted(error ?? stoppedError('Not all workers have started'));
    const how = { ...this.drainOptions('stop'), timeout, idleGrace: LAST_IDLE_GRACE, move: false };
    await Promise.all([...this.places.values()].map((place) => place.close(how)));
    this.prober.stop();
    this.questions.close();
    this.coordination.close();
    this.forgetSignals?.();
    supervisors.delete(this.group);
    engine.superviseForget(this.group);
    if (supervisors.size === 0) engine.superviseHold(false);
    this.setState('stopped');
    const outcome = error === undefined ? { reason } : { reason, error };
    this.log('info', 'stopped', `${this.name} has stopped (${reason})`, { reason });
    this.emit('stopped', outcome);
    this.resolveStopped(outcome);
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
    this.ending ??= this.stopAfter(force ? 0 : drainDelay, timeout, signal);
    await this.ending;
  }

  /** @param {number} delay @param {number} timeout @param {string | undefined} signal */
  async stopAfter(delay, timeout, signal) {
    this.emit('stopping', { signal });
    this.log('info', 'stopping', `${this.name} is stopping${signal === undefined ? '' : ` on ${signal}`}`, {
      signal,
    });
    // Who shares out the requests is told first, and goes on sending them for a while: Kubernetes' order.
    this.isLeaving = true;
    this.changed();
    if (delay > 0) {
      await new Promise((resolve) => {
        const cancel = after(delay, () => resolve(undefined));
        this.hurry = () => (cancel(), resolve(undefined));
      });
    }
    if (this.state !== 'stopping') await this.end(timeout, 'stop');
  }

  /** Kills all workers and all that came from them, at once. */
  kill() {
    for (const place of this.places.values()) place.kill('killed');
    this.ending ??= this.end(0, 'stop');
    this.hurry?.();
  }

  /**
   * Does replacements after those that are under way.
   * @template T
   * @param {() => Promise<T>} work
   * @returns {Promise<T>}
   */
  inTurn(work) {
    const done = this.rolling.then(work);
    this.rolling = done.catch(() => {});
    return done;
  }

  /**
   * Replaces all workers, with code and environment read anew; each new one is ready before the old one goes.
   * @param {{ env?: Record<string, string>, exec?: string, args?: string[] }} [changes]
   */
  async reload(changes = {}) {
    validateObject(changes, 'options');
    if (this.isStopping || this.isLeaving) throw stoppedError('There is nothing to reload');
    return this.inTurn(() => this.roll(changes));
  }

  /** @param {any} changes */
  async roll(changes) {
    if (this.isStopping || this.isLeaving) throw stoppedError('There is nothing to reload');
    const begun = Date.now();
    const before = this.template;
    let replaced = 0;
    if (this.state === 'running') this.setState('reloading');
    try {
      this.generation++;
      this.template = this.resolve(changes);
      const waiting = [...this.places.values()].filter((place) => !place.isClosed);
      while (waiting.length > 0) {
        const batch = waiting.splice(0, this.options.reloadConcurrency);
        await settleAll(
          batch.map(async (place) => {
            if (place.isClosed) return;
            await place.replace(this.current(), 'reload');
            replaced++;
          }),
        );
      }
      // A place that was given up gets another chance with the new code.
      for (const [id, place] of this.places) if (place.isClosed) this.places.delete(id);
      this.fill();
      this.counts.reloads++;
      const duration = Date.now() - begun;
      this.emit('reload', { ok: true, replaced, duration });
      this.log('info', 'reload', `${replaced} workers replaced in ${duration} ms`, { replaced, duration });
      return { replaced, duration };
    } catch (cause) {
      // What is started from now on is what serves.
      if (replaced === 0) this.template = before;
      const { reason, exit, message } = /** @type {any} */ (cause);
      const error = this.isStopping
        ? stoppedError('The reload was given up')
        : reloadError(reason ?? message, exit);
      this.emit('reload', { ok: false, replaced, duration: Date.now() - begun, error });
      this.log('error', 'reload', error.message, { replaced });
      throw error;
    } finally {
      if (this.state === 'reloading') this.setState('running');
    }
  }

  /**
   * Replaces one worker, or all, with the code that runs.
   * @param {number} [id]
   */
  async restart(id) {
    if (id === undefined) {
      await this.inTurn(async () => {
        for (const place of this.places.values())
          if (!place.isClosed) await place.replace(this.current(), 'restart');
      });
      return;
    }
    const place = this.placeOf(id);
    await this.inTurn(() => place.replace(this.current(), 'restart'));
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
   * @param {OnePlace} place
   * @param {Run} run
   * @param {string} reason
   * @param {number} value
   * @param {number} limit
   * @returns {Promise<boolean>} whether it was replaced
   */
  recycle(place, run, reason, value, limit) {
    return this.inTurn(async () => {
      if (place.run !== run || this.isStopping) return true;
      this.counts.recycles++;
      this.emit('recycle', runStatus(this, place, run), { reason, value, limit });
      this.log(
        'info',
        'recycle',
        `worker ${place.id} (pid ${run.pid}) is replaced: ${reason} ${value}, limit ${limit}`,
        { id: place.id, pid: run.pid, reason, value, limit },
      );
      try {
        await place.replace(this.current(), `recycled: ${reason}`);
        return true;
      } catch (error) {
        const { message } = /** @type {Error} */ (error);
        this.log('error', 'recycle', `worker ${place.id} could not be replaced and goes on: ${message}`, {
          id: place.id,
        });
        return false;
      }
    });
  }

  /**
   * Has so many workers run.
   * @param {number} count
   */
  async scale(count) {
    validateInteger(count, 'count', 1, MAX_INSTANCES);
    if (this.isStopping || this.isLeaving) throw stoppedError('There is nothing to scale');
    return this.resize(count, 'hand');
  }

  /** @param {number} count @param {number} utilization */
  onRule(count, utilization) {
    if (this.isStopping || this.isLeaving) return;
    this.resize(count, 'rule', utilization).catch(() => {});
  }

  /** @param {number} count @param {'hand' | 'rule'} by @param {number} [utilization] */
  async resize(count, by, utilization) {
    const from = this.instances;
    this.instances = count;
    this.updateRule();
    if (from !== count) {
      this.emit('scale', { from, to: count, by, utilization });
      this.log('info', 'scale', `from ${from} to ${count} workers`, { from, to: count, by, utilization });
    }
    // The last come are the first to go.
    const surplus = [...this.places.values()]
      .sort((a, b) => b.id - a.id)
      .slice(0, Math.max(0, this.places.size - count));
    for (const place of surplus) this.places.delete(place.id);
    for (const place of surplus) this.going.add(place);
    const fresh = this.fill();
    await settleAll([
      ...surplus.map(async (place) => {
        await place.close(this.drainOptions('scale'));
        this.going.delete(place);
      }),
      ...fresh.map((place) => this.whenReady(place)),
    ]);
    return this.instances;
  }

  /** @param {OnePlace} place @returns {Promise<void>} */
  whenReady(place) {
    return new Promise((resolve, reject) => {
      const look = () => {
        const failed = this.isStopping || (place.isClosed && place.run === undefined);
        if (!failed && place.run?.state !== 'ready') return;
        for (const event of ['worker:ready', 'worker:exit', 'giveUp', 'state']) this.off(event, look);
        if (failed)
          reject(
            this.isStopping
              ? stoppedError('The new worker has not started')
              : giveUpError(`worker ${place.id} ${place.lastExit?.reason}`, place.lastExit),
          );
        else resolve();
      };
      for (const event of ['worker:ready', 'worker:exit', 'giveUp', 'state']) this.on(event, look);
      look();
    });
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
    const { name, state, isReady, instances, generation, counts } = this;
    return {
      name,
      pid: process.pid,
      state,
      ready: isReady,
      instances,
      uptime: Date.now() - this.startedAt,
      restarts: counts.restarts,
      reloads: counts.reloads,
      generation,
      exec: this.template.script,
      workers: this.workers,
    };
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

/** @param {import('node:stream').Readable} from @param {NodeJS.WriteStream | undefined} to */
function forward(from, to) {
  if (to === undefined) {
    from.resume();
    return;
  }
  from.on('data', (chunk) => {
    if (to.write(chunk)) return;
    from.pause();
    to.once('drain', () => from.resume());
  });
}

module.exports = { Supervisor };
