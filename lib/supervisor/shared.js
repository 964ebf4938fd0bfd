'use strict';
// @ts-check

// What the workers of a supervisor share, as a worker uses it.

const { codedError, validateInteger, validateString } = require('../errors');
const { runtime } = require('./runtime');

const DEFAULT_LEASE = 10_000;
const MAX_TIME = 2 ** 31 - 1;
/** A lease is renewed by itself when so much of it has passed. */
const RENEW_SHARE = 1 / 3;

/** @param {string} op @param {any[]} args */
function ask(op, ...args) {
  return runtime().ask({ act: 'store', op, args });
}

/** @param {string} key */
function validateKey(key) {
  validateString(key, 'key');
}

/** @param {import('./store').SetOptions | undefined} options */
function validateSet(options) {
  if (options?.ttl !== undefined) validateInteger(options.ttl, 'options.ttl', 1, MAX_TIME);
}

const store = Object.freeze({
  /** @param {string} key */
  get: async (key) => (validateKey(key), ask('get', key)),
  /** @param {string} key */
  has: async (key) => (validateKey(key), ask('has', key)),
  /** @param {string} key @param {any} value @param {import('./store').SetOptions} [options] */
  set: async (key, value, options) => {
    validateKey(key);
    validateSet(options);
    await ask('set', key, value, options);
  },
  /** @param {string} key @param {any} value @param {import('./store').SetOptions} [options] */
  setIfAbsent: async (key, value, options) => {
    validateKey(key);
    validateSet(options);
    return ask('setIfAbsent', key, value, options);
  },
  /** @param {string} key @param {number} [by] */
  incr: async (key, by = 1) => {
    validateKey(key);
    if (typeof by !== 'number') throw codedError('ERR_INVALID_ARG_TYPE', 'by', 'number', by);
    return ask('incr', key, by);
  },
  /** @param {string} key */
  delete: async (key) => (validateKey(key), ask('delete', key)),
  keys: async () => ask('keys'),
  entries: async () => ask('entries'),
});

/** A lock that is held. */
class Lock {
  /** @param {string} name @param {number} token @param {number} lease @param {boolean} keep */
  constructor(name, token, lease, keep) {
    this.name = name;
    /** Grows with each time that any lock is had: what is guarded can refuse the lower one. */
    this.token = token;
    this.lease = lease;
    this.isHeld = true;
    this.controller = new AbortController();
    /** Aborted when the lock is lost. */
    this.signal = this.controller.signal;
    runtime().locks.set(`${name}:${token}`, this);
    if (keep) {
      this.timer = setInterval(() => void this.renew().catch(() => {}), Math.max(10, lease * RENEW_SHARE));
      this.timer.unref();
    }
  }

  /** Holds it for another lease; false if it is lost. */
  async renew() {
    if (!this.isHeld) return false;
    const { name, token, lease } = this;
    const isHeld = await runtime().ask({ act: 'renew', lock: name, token, lease });
    if (!isHeld) this.lose();
    return isHeld;
  }

  /** Gives it to the next. */
  async release() {
    if (!this.isHeld) return;
    this.end();
    await runtime().ask({ act: 'release', lock: this.name, token: this.token });
  }

  lose() {
    if (!this.isHeld) return;
    this.end();
    const error = Object.assign(new Error(`The lock "${this.name}" is lost: its lease ran out`), {
      code: 'ERR_RCLUSTER_LOCK_LOST',
    });
    this.controller.abort(error);
  }

  end() {
    this.isHeld = false;
    clearInterval(this.timer);
    runtime().locks.delete(`${this.name}:${this.token}`);
  }

  async [Symbol.asyncDispose ?? Symbol.for('Symbol.asyncDispose')]() {
    await this.release();
  }
}

/**
 * Waits for a lock and holds it.
 * @param {string} name
 * @param {{ lease?: number, timeout?: number, wait?: boolean, renew?: boolean }} [options]
 * @returns {Promise<Lock | undefined>} undefined where it is not to wait, and somebody else holds it
 */
async function lock(name, { lease = DEFAULT_LEASE, timeout, wait = true, renew = true } = {}) {
  validateString(name, 'name');
  validateInteger(lease, 'options.lease', 1, MAX_TIME);
  if (timeout !== undefined) validateInteger(timeout, 'options.timeout', 0, MAX_TIME);
  let waiting = 0;
  let isLate = false;
  const answer = runtime().ask({ act: 'lock', lock: name, lease, wait }, (number) => (waiting = number));
  let timer;
  const late = new Promise((_, reject) => {
    if (timeout === undefined) return;
    timer = setTimeout(() => {
      isLate = true;
      void runtime()
        .ask({ act: 'giveUpWaiting', lock: name, waiting })
        .catch(() => {});
      reject(
        Object.assign(new Error(`The lock "${name}" was not to be had within ${timeout} ms`), {
          code: 'ERR_RCLUSTER_LOCK_TIMEOUT',
        }),
      );
    }, timeout);
  });
  void returnLate(answer, name, () => isLate);
  try {
    const token = await Promise.race([answer, late]);
    return token === null ? undefined : new Lock(name, token, lease, renew);
  } finally {
    clearTimeout(timer);
  }
}

/** Gives back what came too late. @param {Promise<number | null>} answer @param {string} name @param {() => boolean} isLate */
async function returnLate(answer, name, isLate) {
  const token = await answer.catch(() => null);
  if (token !== null && isLate())
    await runtime()
      .ask({ act: 'release', lock: name, token })
      .catch(() => {});
}

module.exports = { Lock, lock, store };
