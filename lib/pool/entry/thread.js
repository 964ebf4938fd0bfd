'use strict';
// @ts-check

// Runs in a thread of the pool: takes batches, runs their tasks one after the other, hands each result back at once.

// What few threads need is required where it is needed: each file costs a quarter of a millisecond of every start.

require = require('../../loader').within(module, require);
const { parentPort, receiveMessageOnPort, workerData } = require('node:worker_threads');

const state = require('../state');
state.isWorkerThread = true;
state.workerData = workerData;

// Posted before anything else, so it is the first.
const { binding, pool, thread, port, filename, name, limit, timing, niceIncrement, heap } =
  /** @type {any} */ (receiveMessageOnPort(/** @type {any} */ (parentPort))).message;
require('../../binding_file').path = binding;

const { engine, kinds, on } = require('../../native');
const calls = require('../calls');
const {
  BYTES,
  CLAIMED,
  CLONE,
  COLUMNS,
  EMPTY,
  ENCODING,
  EXCLUSIVE,
  JSON_TEXT,
  PORT,
  READY,
  SLOTS,
  STRIDE,
  TAKEN,
  TEXT,
  WORN,
} = require('../protocol');
const { loadHandler, lowerPriority, noHandler } = require('./handler');
const { handBack } = require('./results');

/** For how long tasks run before timers and sockets get their turn. */
const SLICE_MS = 5;

/** How often, in tasks, a thread looks at its heap. */
const HEAP_EVERY = 16;

const { performance } = globalThis;

/** Functions by the numbers that tasks name them by. @type {(Function | undefined)[]} */
const handlers = [];

/** @type {Int32Array} */
let table;
let next = 0;
let count = 0;
/** JSON payloads of the batch, in order. @type {any[]} */
let values = [];
let nextValue = 0;

/** Tasks begun and not finished. */
let running = 0;
let isServing = false;
let isAlone = false;
let sliceEnd = 0;
let finished = 0;

/** Loaded by the first task whose value does not come with its batch. @type {typeof import('./arrivals') | undefined} */
let arrivals;

start();

async function start() {
  lowerPriority(niceIncrement);
  try {
    if (filename != null) handlers[0] = (await loadHandler(filename, name)) ?? undefined;
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
    return;
  }
  const cells = engine.poolJoin(pool, thread);
  if (cells === null) return;
  table = new Int32Array(cells);
  on(kinds.POOL_TASKS, onWake);
  engine.poolTell(0, READY);
  serve();
}

function onWake() {
  arrivals?.receive();
  serve();
}

/** Runs tasks as long as there are any, and this thread may begin one. */
async function serve() {
  if (isServing) return;
  isServing = true;
  sliceEnd = performance.now() + SLICE_MS;
  for (;;) {
    if (running >= limit || isAlone) break;
    if (next === count && !refill()) break;
    const slot = next;
    const at = slot * STRIDE;
    const kind = table[at + 3];
    const isExclusive = (kind & EXCLUSIVE) !== 0 && limit > 1;
    if (isExclusive && running > 0) break;
    next++;
    const json = (kind & ENCODING) === JSON_TEXT ? values[nextValue++] : undefined;
    if (Atomics.compareExchange(table, at, TAKEN, CLAIMED) !== TAKEN) continue;
    const id = table[at + 1];
    const handlerId = table[at + 2];
    running++;
    isAlone = isExclusive;
    const value = valueOf(slot, id, kind, json);
    if (next < count) prefetch(next);
    const handler = handlers[handlerId];
    const end =
      handler === undefined || value instanceof Promise
        ? prepare(slot, id, handlerId, value)
        : run(slot, id, handler, value);
    if (end !== undefined && limit === 1) await end;
    if (performance.now() > sliceEnd) {
      setImmediate(serve);
      break;
    }
    // What the task has left in the microtask queue comes before the next task.
    await undefined;
  }
  isServing = false;
}

function refill() {
  const text = calls.take();
  arrivals?.endBatch();
  count = table[SLOTS * STRIDE];
  next = 0;
  nextValue = 0;
  values = text === undefined ? [] : JSON.parse(text);
  return count > 0;
}

/**
 * The value of a task that has been claimed, or a promise of it.
 * @param {number} slot
 * @param {number} id
 * @param {number} kind
 * @param {any} json
 */
function valueOf(slot, id, kind, json) {
  switch (kind & ENCODING) {
    case TEXT:
      return calls.payload(slot, 1);
    case COLUMNS:
      return require('../columns').fromColumns(/** @type {string} */ (calls.payload(slot, 1)));
    case CLONE:
      return require('../codec').decodeClone(/** @type {Buffer} */ (calls.payload(slot, 0)));
    case PORT:
    case BYTES:
      return arriving().valueOf(slot, id, kind);
    default:
      return json;
  }
}

function arriving() {
  if (arrivals === undefined) {
    arrivals = require('./arrivals');
    arrivals.open(port);
  }
  return arrivals;
}

/**
 * Asks for the value of the next task while this one runs.
 * @param {number} slot
 */
function prefetch(slot) {
  const at = slot * STRIDE;
  const encoding = table[at + 3] & ENCODING;
  if ((encoding === BYTES || encoding === PORT) && table[at] === TAKEN)
    arriving().prefetch(slot, table[at + 1], table[at + 3]);
}

/**
 * Runs a task whose function is not loaded yet, or whose value is still to come.
 * @param {number} slot
 * @param {number} id
 * @param {number} handlerId
 * @param {any} promised
 */
async function prepare(slot, id, handlerId, promised) {
  let value;
  let handler;
  try {
    value = await promised;
    if (arrivals !== undefined && value === arrivals.WITHDRAWN) {
      release(slot, id);
      return;
    }
    handler = await handlerOf(handlerId);
  } catch (error) {
    await finish(slot, id, 0, true, error);
    return;
  }
  await run(slot, id, handler, value);
}

/**
 * Runs a task; returns a promise of its end if it has not ended.
 * @param {number} slot
 * @param {number} id
 * @param {Function} handler
 * @param {any} value
 */
function run(slot, id, handler, value) {
  const started = timing ? performance.now() : 0;
  let result;
  let isThrown = false;
  try {
    result = handler(value);
    if (typeof result === 'object' && result !== null && typeof result.then === 'function')
      return settle(slot, id, started, result);
  } catch (error) {
    isThrown = true;
    result = error;
  }
  return finish(slot, id, started, isThrown, result);
}

/**
 * @param {number} slot
 * @param {number} id
 * @param {number} started
 * @param {any} promise
 */
async function settle(slot, id, started, promise) {
  let result;
  let isThrown = false;
  try {
    result = await promise;
  } catch (error) {
    isThrown = true;
    result = error;
  }
  await finish(slot, id, started, isThrown, result);
}

/** @param {number} handlerId */
async function handlerOf(handlerId) {
  let handler = handlers[handlerId];
  if (handler !== undefined) return handler;
  const [handlerName, handlerFile] = /** @type {string} */ (engine.poolHandler(handlerId)).split('\0');
  handler = (await loadHandler(handlerFile, handlerName)) ?? undefined;
  if (handler === undefined) throw noHandler(handlerFile);
  handlers[handlerId] = handler;
  return handler;
}

/**
 * Hands a result back, at once unless something printed has to go before it: the process may end with it.
 * @param {number} slot
 * @param {number} id
 * @param {number} started
 * @param {boolean} isThrown
 * @param {any} result
 * @returns {Promise<void> | undefined}
 */
function finish(slot, id, started, isThrown, result) {
  if (process.stdout.writableLength > 0 || process.stderr.writableLength > 0)
    return flushed().then(() => finish(slot, id, started, isThrown, result));
  handBack(port, slot, id, isThrown, result, timing ? (performance.now() - started) * 1000 : -1);
  leave();
  if (heap > 0 && ++finished % HEAP_EVERY === 0) {
    const { used_heap_size: used } = require('node:v8').getHeapStatistics();
    if (used > heap) engine.poolTell(0, WORN);
  }
  return undefined;
}

function flushed() {
  return Promise.all(
    [process.stdout, process.stderr].map((stream) => new Promise((resolve) => stream.write('', resolve))),
  );
}

/**
 * Gives up a task whose value will not come.
 * @param {number} slot
 * @param {number} id
 */
function release(slot, id) {
  calls.done(slot, id, EMPTY, -1);
  leave();
}

/** A task has ended: there is room for another. */
function leave() {
  running--;
  isAlone = false;
  serve();
}
