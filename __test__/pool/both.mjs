// Piscina and ours: what holds for both is what users rely on.

import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

import { afterEach } from 'vitest';

const require = createRequire(import.meta.url);

export const Ours = require('../../pool.js');
export const Piscina = require('piscina');

/** For `describe.each`. @type {[string, any][]} */
export const both = [
  ['piscina', Piscina],
  ['rcluster', Ours],
];

export const file = (name) => fileURLToPath(new URL(`../fixtures/pool/${name}`, import.meta.url));
export const tasks = file('tasks.cjs');

const open = [];

/** A pool that is destroyed when the test ends. Two threads unless told otherwise. */
export function poolOf(Pool, options = {}) {
  const defaults = { filename: tasks };
  if (options.minThreads === undefined && options.maxThreads === undefined) {
    Object.assign(defaults, { minThreads: 2, maxThreads: 2 });
  }
  const pool = new Pool({ ...defaults, ...options });
  open.push(pool);
  return pool;
}

afterEach(async () => {
  await Promise.all(open.splice(0).map((pool) => pool.destroy()));
});

/** Something threads wait for, so that they are busy for as long as a test wants. */
export function gate() {
  const shared = new Int32Array(new SharedArrayBuffer(4));
  return {
    shared,
    open() {
      Atomics.store(shared, 0, 1);
      Atomics.notify(shared, 0);
    },
  };
}

export const settle = (promise) =>
  promise.then(
    (value) => ({ value }),
    (error) => ({ error }),
  );
