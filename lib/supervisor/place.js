'use strict';
// @ts-check

// The place of one worker: who is in it, who is to take over, who is leaving, and what comes after an end.

const { engine } = require('../native');
const { giveUpError } = require('./errors');
const { Run } = require('./run');
const { after } = require('./timers');

/**
 * @typedef {import('./errors').Exit} Exit
 * @typedef {InstanceType<typeof import('./supervisor').Supervisor>} Supervisor
 * @typedef {InstanceType<typeof import('./run').Run>} OneRun
 */

// What `superviseDecide` gives that is not a time.
const LEAVE = -1;
const GIVE_UP_PLACE = -2;

/** How long a signal that goes to all processes takes to reach this one too, at most, in milliseconds. */
const SIGNAL_GRACE = 50;
/** How soon a worker that reached a limit, and whose replacement failed, is looked at again. */
const RECYCLE_PAUSE = 30_000;

class Place {
  /** @param {Supervisor} supervisor @param {number} id */
  constructor(supervisor, id) {
    this.supervisor = supervisor;
    this.id = id;
    this.restarts = 0;
    /** Who has the place. @type {OneRun | undefined} */
    this.run = undefined;
    /** Who is to take it over. @type {OneRun | undefined} */
    this.next = undefined;
    /** Who has left it and has not ended. @type {Set<OneRun>} */
    this.leaving = new Set();
    /** @type {Exit | undefined} */
    this.lastExit = undefined;
    /** When the next start is due, while it is waited for. @type {number | undefined} */
    this.nextStart = undefined;
    /** @type {(() => void) | undefined} */
    this.cancelStart = undefined;
    /** No more starts here: it was given up, has done its work, or is not needed. */
    this.isClosed = false;
    /** @type {(() => void) | undefined} */
    this.cancelAge = undefined;
  }

  /** All that run for this place. @returns {OneRun[]} */
  runs() {
    return [this.run, this.next, ...this.leaving].filter((run) => run !== undefined);
  }

  /** Starts a worker in the empty place. */
  begin() {
    if (this.isClosed || this.run !== undefined || this.supervisor.isStopping) return;
    this.cancelWaiting();
    this.run = this.launch(this.supervisor.current());
  }

  /** @param {import('./run').Start} start */
  launch(start) {
    const { supervisor } = this;
    let run;
    try {
      run = new Run(this.id, start);
    } catch (error) {
      return this.failedToLaunch(/** @type {Error} */ (error));
    }
    supervisor.launched(this, run);
    run.on('ready', () => this.onReady(run));
    run.on('late', () => this.onLate(run));
    run.on('failing', (reason) => this.onFailing(run, reason));
    run.on('leaving', (reason) => this.onLeaving(run, reason));
    run.on('message', (message) => supervisor.onMessage(this, run, message));
    run.on('ended', (exit) => this.onEnded(run, exit));
    return run;
  }

  /** A fork that throws counts as an end. @param {Error} error @returns {undefined} */
  failedToLaunch(error) {
    const exit = {
      pid: undefined,
      code: null,
      signal: null,
      reason: `could not be started: ${error.message}`,
      uptime: 0,
      at: Date.now(),
      stderr: '',
      wished: false,
    };
    this.lastExit = exit;
    if (this.replacing) this.replacing.failed(exit);
    else setImmediate(() => this.decide(false, exit, false));
    return undefined;
  }

  /** @param {OneRun} run */
  onReady(run) {
    const { age, jitter } = this.supervisor.options.recycle;
    if (age > 0) {
      this.cancelAge?.();
      const limit = age * (1 + jitter * (Math.random() * 2 - 1));
      this.cancelAge = after(limit, () => this.recycle(run, 'age', Date.now() - run.startedAt, age));
    }
    this.supervisor.onReady(this, run);
    if (run === this.next) this.replacing?.ready();
  }

  /** It has not become ready in time. @param {OneRun} run */
  onLate(run) {
    if (run.state !== 'starting') return;
    const { supervisor } = this;
    const { readyTimeout, waitReady } = supervisor.options;
    if (waitReady === undefined && !supervisor.isServer && run !== this.next) {
      // A program that does not listen; had any of its workers ever done so, this one would be late.
      supervisor.log(
        'warn',
        'worker:ready',
        `worker ${this.id} has neither listened nor called ready() within ${readyTimeout} ms: it is taken for ready (set waitReady to 'online' for programs that do not listen)`,
      );
      run.becomeReady();
      return;
    }
    const how = waitReady === true ? 'called ready()' : 'listened or called ready()';
    void run.kill(`it has not ${how} within ${readyTimeout} ms`, false);
  }

  /** An error that nobody caught: it finishes what it has begun, and then exits. @param {OneRun} run @param {string} reason */
  onFailing(run, reason) {
    this.letGo(run, reason, 1);
    if (run === this.next) return;
    const exit = { ...this.describe(run), reason: `is ending: ${reason}` };
    this.decide(false, exit, run.readyAt !== undefined);
  }

  /** Somebody has sent it a signal to end. @param {OneRun} run @param {string} reason */
  onLeaving(run, reason) {
    this.letGo(run, reason, 0);
    if (run === this.next) return;
    const exit = { ...this.describe(run), reason: `is ending: ${reason}` };
    // A service manager, or a terminal, may have sent it to all processes: then this is no end to make up for.
    after(SIGNAL_GRACE, () => this.decide(true, exit, run.readyAt !== undefined));
  }

  /** @param {OneRun} run @returns {Exit} */
  describe(run) {
    const uptime = Date.now() - run.startedAt;
    return {
      pid: run.pid,
      code: null,
      signal: null,
      reason: '',
      uptime,
      at: Date.now(),
      stderr: run.tail.toString(),
      wished: false,
    };
  }

  /** It ends by itself, and others take its place. @param {OneRun} run @param {string} reason @param {number} code */
  letGo(run, reason, code) {
    if (this.run === run) {
      this.run = undefined;
      this.leaving.add(run);
    }
    void run.drain({ ...this.supervisor.drainOptions(reason), code, isWished: false });
    this.supervisor.changed();
  }

  /** @param {OneRun} run @param {Exit} exit */
  onEnded(run, exit) {
    const wasLeaving = this.leaving.delete(run);
    const wasReady = run.readyAt !== undefined;
    this.lastExit = exit;
    if (this.run === run) {
      this.run = undefined;
      this.cancelAge?.();
    }
    this.supervisor.onEnded(this, run, exit);
    if (run === this.next) {
      this.next = undefined;
      this.replacing?.failed(exit);
      return;
    }
    if (wasLeaving || exit.wished || this.next !== undefined) {
      // What comes after it was decided when it began to end.
      this.supervisor.finishIfEmpty();
      return;
    }
    this.decide(exit.code === 0, exit, wasReady);
  }

  /**
   * The worker of this place has ended, or is about to, and nobody had asked for that.
   * @param {boolean} isNormal
   * @param {Exit} exit
   * @param {boolean} wasReady
   */
  decide(isNormal, exit, wasReady) {
    const { supervisor } = this;
    if (supervisor.isStopping || this.isClosed || this.run !== undefined || this.next !== undefined) return;
    const decision = engine.superviseDecide(supervisor.group, this.id, isNormal, wasReady, Math.random());
    if (decision >= 0) {
      this.restarts++;
      supervisor.onRestart(this, exit, decision);
      this.beginAfter(decision);
      return;
    }
    this.isClosed = true;
    if (decision === LEAVE) supervisor.onFinished(this, exit);
    else supervisor.onGiveUp(this, exit, decision === GIVE_UP_PLACE ? 'worker' : 'app');
  }

  /** @param {number} delay */
  beginAfter(delay) {
    this.nextStart = Date.now() + delay;
    this.cancelStart = after(delay, () => {
      this.cancelStart = undefined;
      this.nextStart = undefined;
      this.begin();
      this.supervisor.changed();
    });
  }

  cancelWaiting() {
    this.cancelStart?.();
    this.cancelStart = undefined;
    this.nextStart = undefined;
  }

  /**
   * Puts a new worker into the place: it is ready before the old one is told to go.
   * @param {import('./run').Start} start
   * @param {string} reason
   * @returns {Promise<void>} when the old one has ended; rejects where the new one failed, and the old one goes on
   */
  async replace(start, reason) {
    await this.prepare(start);
    await this.takeOver(reason);
  }

  /**
   * Starts who is to take the place over.
   * @param {import('./run').Start} start
   * @returns {Promise<void>} when it is ready; rejects where it failed
   */
  async prepare(start) {
    if (this.next !== undefined) throw new Error(`worker ${this.id} is being replaced already`);
    this.cancelWaiting();
    await new Promise((resolve, reject) => {
      this.replacing = {
        ready: () => resolve(undefined),
        failed: (/** @type {Exit} */ exit) => reject(giveUpError(`worker ${this.id} ${exit.reason}`, exit)),
      };
      this.next = this.launch(start);
    })
      .finally(() => {
        this.replacing = undefined;
      })
      .catch((error) => {
        this.beginIfEmpty();
        throw error;
      });
  }

  /** The place may have become empty while its new worker was tried. */
  beginIfEmpty() {
    if (this.run === undefined && !this.isClosed && !this.supervisor.isStopping) this.beginAfter(0);
  }

  /** Who was prepared has the place; resolves when the old one has ended. @param {string} reason */
  async takeOver(reason) {
    const old = this.run;
    this.run = this.next;
    this.next = undefined;
    this.supervisor.changed();
    if (old === undefined) return;
    this.leaving.add(old);
    await old.drain(this.supervisor.drainOptions(reason));
  }

  /** Who was to take over does not; it may have requests by now, and finishes them. @param {string} reason */
  async discard(reason) {
    const { next } = this;
    if (next === undefined) return;
    this.next = undefined;
    this.replacing = undefined;
    this.leaving.add(next);
    this.beginIfEmpty();
    await next.drain(this.supervisor.drainOptions(reason));
  }

  /**
   * A worker has reached a limit.
   * @param {OneRun} run
   * @param {string} reason
   * @param {number} value
   * @param {number} limit
   */
  recycle(run, reason, value, limit) {
    if (this.run !== run || run.state !== 'ready' || this.supervisor.isStopping) return;
    void this.replaceOrWait(run, reason, value, limit);
  }

  /** @param {OneRun} run @param {string} reason @param {number} value @param {number} limit */
  async replaceOrWait(run, reason, value, limit) {
    const isReplaced = await this.supervisor.replacing.recycle(this, run, reason, value, limit);
    if (!isReplaced && this.run === run) after(RECYCLE_PAUSE, () => run.exit ?? run.arm());
  }

  /**
   * Nobody is to be in this place any more.
   * @param {ReturnType<Supervisor['drainOptions']>} how
   */
  async close(how) {
    this.isClosed = true;
    this.cancelWaiting();
    this.cancelAge?.();
    const runs = this.runs();
    if (this.run !== undefined) this.leaving.add(this.run);
    this.run = undefined;
    await Promise.all(runs.map((run) => run.drain(how)));
  }

  /** Kills all that run here. @param {string} why */
  kill(why) {
    this.isClosed = true;
    this.cancelWaiting();
    for (const run of this.runs()) void run.kill(why, true);
  }
}

module.exports = { Place };
