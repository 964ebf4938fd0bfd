'use strict';
// @ts-check

// What Node's ChildProcess.prototype expects behind `_handle`: signals, references, and the native events of one
// child, turned into the events its user sees.

const { AsyncResource } = require('node:async_hooks');

const { engine, kinds, on } = require('../native');
const { stepError, usageObject } = require('./extras');
const { signalName } = require('./signals');
const { SafeMap, arrayIndexOf, defineProperty, getOwnPropertyDescriptor } = require('../untampered');

/** Children whose end has not been reported, by the engine's id. @type {Map<number, ChildHandle>} */
const running = new SafeMap();

on(kinds.CHILD_STARTED, (id) => running.get(id)?.settled(0, 0));
on(kinds.CHILD_NOT_STARTED, (id, errno, step) => running.get(id)?.settled(errno, step));
on(kinds.CHILD_EXITED, (id, code, signal) => running.get(id)?.exited(code, signal));

/** The engine's answer that the outcome of an exec has been reported before. */
const SETTLED_BEFORE = 1;
const SIGKILL = 9;

class ChildHandle {
  /**
   * @param {any} child
   * @param {(child: any, exitCode: number, signalCode: string, error?: any) => void} onExit
   */
  constructor(child, onExit) {
    this.child = child;
    this.onExit = onExit;
    this.id = -1;
    this.pid = 0;
    /** Whether the outcome of the exec is known. */
    this.isSettled = false;
    this.referenced = false;
    /** Signals go to the whole tree. */
    this.wholeTree = false;
    /** Milliseconds from a signal to SIGKILL. @type {number | undefined} */
    this.killAfter = undefined;
    /** @type {NodeJS.Timeout | undefined} */
    this.killTimer = undefined;
    /** What the child had used when somebody last asked. @type {Record<string, number> | undefined} */
    this.lastSeen = undefined;
    // Listeners run in the async context of the spawn, as those of Node's own handle do.
    this.resource = new AsyncResource('PROCESSWRAP', { requireManualDestroy: true });
  }

  /** @param {number} signal */
  kill(signal) {
    const errno = this.wholeTree && signal !== 0 ? this.killTree(signal) : engine.kill(this.id, signal);
    if (errno === 0 && signal !== 0 && signal !== SIGKILL) this.escalate();
    return errno;
  }

  /** @param {number} signal */
  killTree(signal) {
    const result = engine.killTree(this.id, signal);
    if (result === null) return engine.kill(this.id, signal);
    const own = arrayIndexOf(result.failed, this.pid);
    return own === -1 ? 0 : result.errnos[own];
  }

  /** Kills for good what a signal has not ended in time. */
  escalate() {
    if (this.killAfter === undefined || this.killTimer !== undefined) return;
    this.killTimer = setTimeout(() => this.kill(SIGKILL), this.killAfter);
    if (!this.referenced) this.killTimer.unref();
  }

  ref() {
    engine.setRef(this.id, true);
    this.referenced = true;
    this.killTimer?.ref();
  }

  unref() {
    engine.setRef(this.id, false);
    this.referenced = false;
    this.killTimer?.unref();
  }

  hasRef() {
    return this.id !== -1 && this.referenced;
  }

  close() {
    running.delete(this.id);
    clearTimeout(this.killTimer);
    this.resource.emitDestroy();
  }

  /** @param {number} id @param {number} pid */
  started(id, pid) {
    this.id = id;
    this.pid = pid;
    this.referenced = true;
    running.set(id, this);
    defineProperty(this.child, 'pid', pidAccessor);
  }

  /** The exec has worked, as somebody has waited to know. */
  startedForSure() {
    this.isSettled = true;
    setPid(this.child, this.pid);
    process.nextTick(onSpawn, this);
  }

  /**
   * The outcome of the exec, as the loop reports it.
   * @param {number} errno 0, or why the child gave up
   * @param {number} step what it was doing
   */
  settled(errno, step) {
    this.know(errno);
    this.resource.runInAsyncScope(errno === 0 ? onSpawn : onFailure, undefined, this, errno, step);
  }

  /** Waits for the outcome of the exec, for somebody who reads the pid before it is known. */
  settleNow() {
    if (this.isSettled) return;
    const step = new Int32Array(1);
    const errno = engine.settle(this.id, step);
    if (errno === SETTLED_BEFORE) return;
    this.know(errno);
    // In the context of the spawn, not in that of whoever has asked.
    this.resource.runInAsyncScope(() => {
      process.nextTick(errno === 0 ? onSpawn : onFailure, this, errno, step[0]);
    });
  }

  /** @param {number} errno of the exec */
  know(errno) {
    this.isSettled = true;
    // Unless somebody has put something else there.
    if (getOwnPropertyDescriptor(this.child, 'pid')?.get !== pidAccessor.get) return;
    setPid(this.child, errno === 0 ? this.pid : undefined);
  }

  /** @param {number} code @param {number} signal */
  exited(code, signal) {
    this.usage = usageObject(engine.lastUsage());
    this.resource.runInAsyncScope(
      this.onExit,
      undefined,
      this.child,
      code,
      signal === 0 ? '' : signalName(signal),
    );
  }
}

/** @param {ChildHandle} handle */
function onSpawn({ child }) {
  child.emit('spawn');
}

/** @param {ChildHandle} handle @param {number} errno @param {number} step */
function onFailure({ child, onExit }, errno, step) {
  onExit(child, errno, '', stepError(errno, step, child.spawnfile));
}

/** @param {any} child @param {number | undefined} pid */
function setPid(child, pid) {
  /** @type {any} */
  const descriptor = { __proto__: null, value: pid, writable: true, enumerable: true, configurable: true };
  defineProperty(child, 'pid', descriptor);
}

/** Knows the pid once the exec is known to have worked; read before that, it waits for it. @type {any} */
const pidAccessor = {
  __proto__: null,
  configurable: true,
  enumerable: true,
  /** @this {any} */
  get() {
    const handle = this._handle;
    if (!(handle instanceof ChildHandle) || handle.id === -1) return undefined;
    handle.settleNow();
    return getOwnPropertyDescriptor(this, 'pid')?.value;
  },
  /** @this {any} @param {any} value */
  set(value) {
    setPid(this, value);
  },
};

module.exports = { ChildHandle, setPid };
