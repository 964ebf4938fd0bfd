'use strict';
// @ts-check

// The tasks of this environment that are with the engine, and their way back, for all its pools.

const { receiveMessageOnPort } = require('node:worker_threads');

const { engine, kinds, on } = require('../native');
const { fromBytes } = require('./bytes');
const calls = require('./calls');
const { decodeClone } = require('./codec');
const { fromColumns } = require('./columns');
const offers = require('./offers');
const {
  BYTES,
  CLONE,
  COLUMNS,
  ENCODING,
  JSON_TEXT,
  PORT,
  TEXT,
  THROWN,
  TYPE,
  TYPE_SHIFT,
  UNCLONEABLE,
} = require('./protocol');

/** Numbers of a completion. As in src/binding/pool/submit.rs. */
const FIELDS = 4;

/** @type {Map<number, InstanceType<typeof import('./task').Task>>} */
const tasks = new Map();

/** Pools that have threads, by number. @type {Map<number, any>} */
const pools = new Map();

/** @type {Int32Array | undefined} */
let cells;

on(kinds.POOL_COMPLETIONS, readCompletions);

/** Reads what has come back, and tells the pools. */
function readCompletions() {
  const text = calls.completions();
  cells ??= new Int32Array(/** @type {ArrayBuffer} */ (engine.poolCells()));
  const count = cells[0];
  if (count === 0) return;
  const values = text === undefined ? undefined : JSON.parse(text);
  // Running tasks may end in here in a nested way, so the cells are read before anybody is told.
  const entries = cells.slice(1, 1 + count * FIELDS);
  const results = new Array(count);
  for (let i = 0, json = 0; i < count; i++) {
    const kind = entries[i * FIELDS + 3];
    if (kind <= 0) continue;
    const encoding = kind & ENCODING;
    if (encoding === JSON_TEXT) results[i] = values[json++];
    else if (encoding === TEXT) results[i] = calls.result(i, 1);
    else if (encoding === COLUMNS) results[i] = fromColumns(/** @type {string} */ (calls.result(i, 1)));
    else if (encoding === CLONE) results[i] = decodeClone(/** @type {Buffer} */ (calls.result(i, 0)));
    else if (encoding === BYTES) results[i] = landed(i, (kind >> TYPE_SHIFT) & TYPE);
  }
  const touched = new Set();
  for (let i = 0; i < count; i++) {
    const at = i * FIELDS;
    const kind = entries[at + 3];
    const pool = pools.get(entries[at + 2]);
    if (kind < 0) {
      pool?.onNews(kind, entries[at + 1], entries[at]);
      continue;
    }
    const task = tasks.get(entries[at]);
    let result = (kind & ENCODING) === PORT ? fromPort(pool, entries[at + 1], task) : results[i];
    if ((kind & UNCLONEABLE) !== 0) result = cloneError(result);
    if (task === undefined) continue;
    tasks.delete(entries[at]);
    task.pool.onCompletion(task, entries[at + 1], (kind & THROWN) !== 0, result);
    touched.add(task.pool);
  }
  for (const pool of touched) pool.afterCompletions();
  if (tasks.size === 0) engine.poolSetRef(false);
}

/**
 * A result that a thread has copied into memory set aside here.
 * @param {number} index
 * @param {number} type
 */
function landed(index, type) {
  const buffer = /** @type {ArrayBuffer} */ (calls.result(index, 0));
  offers.replace(buffer.byteLength);
  return fromBytes(buffer, type);
}

/**
 * The next result that a thread has posted: they come in the order of their completions.
 * @param {any} pool
 * @param {number} thread
 * @param {any} task `undefined`: nobody waits for it
 */
function fromPort(pool, thread, task) {
  const port = pool?.threads.handles.get(thread)?.port;
  const result = port && receiveMessageOnPort(port)?.message[1];
  offers.learn(result, task?.transferList.length === 0);
  return result;
}

/** The error of a clone that failed in a thread. @param {any} error */
function cloneError({ message, name, stack }) {
  return Object.defineProperty(new DOMException(message, name), 'stack', {
    value: stack,
    configurable: true,
    writable: true,
  });
}

/** @param {InstanceType<typeof import('./task').Task>} task */
function add(task) {
  if (tasks.size === 0) engine.poolSetRef(true);
  tasks.set(task.taskId, task);
}

/** A task that ends some other way. @param {InstanceType<typeof import('./task').Task>} task */
function remove(task) {
  if (tasks.delete(task.taskId) && tasks.size === 0) engine.poolSetRef(false);
}

module.exports = { add, pools, readCompletions, remove, tasks };
