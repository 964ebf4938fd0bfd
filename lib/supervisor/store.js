'use strict';
// @ts-check

const { after } = require('./timers');

/** @typedef {{ ttl?: number, ephemeral?: boolean }} SetOptions `ttl` in milliseconds; `ephemeral`: until its worker ends */

/** Values by key. */
class Store {
  constructor() {
    /** @type {Map<string, { value: any, owner: any, cancel?: () => void }>} */
    this.entriesByKey = new Map();
  }

  /** @param {string} key */
  get(key) {
    return this.entriesByKey.get(key)?.value;
  }

  /** @param {string} key */
  has(key) {
    return this.entriesByKey.has(key);
  }

  /** @param {string} key @param {any} value @param {SetOptions} [options] @param {any} [owner] */
  set(key, value, { ttl, ephemeral = false } = {}, owner = undefined) {
    this.delete(key);
    /** @type {{ value: any, owner: any, cancel?: () => void }} */
    const entry = { value, owner: ephemeral ? owner : undefined };
    if (ttl !== undefined) entry.cancel = after(ttl, () => this.delete(key));
    this.entriesByKey.set(key, entry);
  }

  /** Whether there was none. @param {string} key @param {any} value @param {SetOptions} [options] @param {any} [owner] */
  setIfAbsent(key, value, options, owner) {
    if (this.has(key)) return false;
    this.set(key, value, options, owner);
    return true;
  }

  /** The sum. @param {string} key @param {number} [by] */
  incr(key, by = 1) {
    const entry = this.entriesByKey.get(key);
    const sum = (typeof entry?.value === 'number' ? entry.value : 0) + by;
    if (entry === undefined) this.set(key, sum);
    else entry.value = sum;
    return sum;
  }

  /** Whether there was one. @param {string} key */
  delete(key) {
    this.entriesByKey.get(key)?.cancel?.();
    return this.entriesByKey.delete(key);
  }

  keys() {
    return [...this.entriesByKey.keys()];
  }

  entries() {
    return [...this.entriesByKey].map(([key, { value }]) => [key, value]);
  }

  /** What a worker asks for. @param {string} op @param {any[]} args @param {any} owner */
  run(op, args, owner) {
    switch (op) {
      case 'get':
        return this.get(args[0]);
      case 'has':
        return this.has(args[0]);
      case 'set':
        return this.set(args[0], args[1], args[2] ?? {}, owner);
      case 'setIfAbsent':
        return this.setIfAbsent(args[0], args[1], args[2] ?? {}, owner);
      case 'incr':
        return this.incr(args[0], args[1] ?? 1);
      case 'delete':
        return this.delete(args[0]);
      case 'keys':
        return this.keys();
      case 'entries':
        return this.entries();
      default:
        return undefined;
    }
  }

  /** A worker has ended. @param {any} owner */
  left(owner) {
    for (const [key, entry] of this.entriesByKey) if (entry.owner === owner) this.delete(key);
  }

  close() {
    for (const { cancel } of this.entriesByKey.values()) cancel?.();
    this.entriesByKey.clear();
  }
}

module.exports = { Store };
