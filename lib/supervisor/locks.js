'use strict';
// @ts-check

const { after } = require('./timers');

/**
 * @typedef {object} Asking who wants a lock
 * @property {any} run
 * @property {number} number of its question
 * @property {number} lease milliseconds for which it is had without being renewed
 * @property {boolean} wait for its turn
 *
 * @typedef {{ holder: any, token: number, cancel: () => void, queue: Asking[] }} Lock
 */

/** Locks by name, each with its holder and those who wait for it, first come, first served. */
class LockTable {
  /**
   * @param {{ granted: (asking: Asking, token: number) => void, refused: (asking: Asking) => void,
   *   lost: (run: any, name: string, token: number) => void }} tell
   */
  constructor(tell) {
    this.tell = tell;
    /** @type {Map<string, Lock>} */
    this.locks = new Map();
    /** Grows with each lock that is granted, so that what it guards can refuse a holder of before. */
    this.lastToken = 0;
  }

  /** @param {string} name @param {Asking} asking */
  acquire(name, asking) {
    const lock = this.locks.get(name);
    if (lock === undefined) this.grant(name, asking, []);
    else if (asking.wait) lock.queue.push(asking);
    else this.tell.refused(asking);
  }

  /** @param {string} name @param {Asking} asking @param {Asking[]} queue */
  grant(name, asking, queue) {
    const token = ++this.lastToken;
    this.locks.set(name, {
      holder: asking.run,
      token,
      queue,
      cancel: this.expireAfter(name, token, asking.lease),
    });
    this.tell.granted(asking, token);
  }

  /** @param {string} name @param {number} token @param {number} lease */
  expireAfter(name, token, lease) {
    return after(lease, () => {
      const holder = this.locks.get(name)?.holder;
      if (this.release(name, token)) this.tell.lost(holder, name, token);
    });
  }

  /** Whether it was still held. @param {string} name @param {number} token @param {number} lease */
  renew(name, token, lease) {
    const lock = this.locks.get(name);
    if (lock?.token !== token) return false;
    lock.cancel();
    lock.cancel = this.expireAfter(name, token, lease);
    return true;
  }

  /** Whether it was still held. @param {string} name @param {number} token */
  release(name, token) {
    const lock = this.locks.get(name);
    if (lock?.token !== token) return false;
    lock.cancel();
    this.locks.delete(name);
    const next = lock.queue.shift();
    if (next !== undefined) this.grant(name, next, lock.queue);
    return true;
  }

  /** Somebody waits no longer. @param {string} name @param {any} run @param {number} number */
  cancel(name, run, number) {
    const lock = this.locks.get(name);
    if (lock === undefined) return;
    // It may have been granted meanwhile, and the answer be on its way: whoever gets it gives it back.
    lock.queue = lock.queue.filter((asking) => asking.run !== run || asking.number !== number);
  }

  /** A worker has ended. @param {any} run */
  left(run) {
    for (const [name, lock] of Array.from(this.locks)) {
      lock.queue = lock.queue.filter((asking) => asking.run !== run);
      if (lock.holder === run) this.release(name, lock.token);
    }
  }

  close() {
    for (const { cancel } of this.locks.values()) cancel();
    this.locks.clear();
  }
}

module.exports = { LockTable };
