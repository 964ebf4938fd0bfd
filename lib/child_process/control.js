'use strict';
// @ts-check

// `child.channel`: whether the channel keeps the process alive, its descriptor, and what came too early.

const { EventEmitter } = require('node:events');

const { nodeMajor } = require('../errors');

const kPending = Symbol('rcluster.pendingMessages');

/** `child.channel`. */
class Control extends EventEmitter {
  /** @type {InstanceType<typeof import('./wire').Wire>} */
  #wire;
  #refs = 0;
  #refExplicitlySet = false;
  /** What arrived before anybody listened. @type {any[][]} */
  [kPending] = [];

  /** @param {InstanceType<typeof import('./wire').Wire>} wire */
  constructor(wire) {
    super();
    this.#wire = wire;
  }

  refCounted() {
    if (++this.#refs === 1 && !this.#refExplicitlySet) this.#wire.setRef(true, false);
  }

  unrefCounted() {
    if (--this.#refs === 0 && !this.#refExplicitlySet) {
      this.#wire.setRef(false, false);
      if (nodeMajor < 24) this.emit('unref');
    }
  }

  ref() {
    this.#refExplicitlySet = true;
    this.#wire.setRef(true, true);
  }

  unref() {
    this.#refExplicitlySet = true;
    this.#wire.setRef(false, true);
  }

  get fd() {
    return this.#wire.fd;
  }
}

module.exports = { Control, kPending };
