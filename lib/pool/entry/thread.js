'use strict';
// @ts-check

// Runs in a thread of the pool: takes batches, runs their tasks one after the other, hands each result back at once.

// What few threads need is required where it is needed: a pool should start fast.

const { parentPort, receiveMessageOnPort, workerData } = require('node:worker_threads');

const state = require('../state');
state.isWorkerThread = true;
state.workerData = workerData;

// Posted before anything else, so it is the first.
const { binding, pool, thread, port, filename, name, limit, timing, niceIncrement, heap } =
  /** @type {any} */ (receiveMessageOnPort(/** @type {any} */ (parentPort))).message;
require('../../binding_file').path = binding;

const { engine, kinds, on } = require('../../native');
const { allocate, bytesOf, fromBytes, typeOfBig } = require('../bytes');
const { decodeClone, encode, encoded, isWide, post } = require('../codec');
const { fromColumns } = require('../columns');
const protocol = require('../protocol');
const { isMovable, transferableSymbol, valueSymbol } = require('../symbols');
const { loadHandler, noHandler } = require('./handler');

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
  STRIDE,
  TAKEN,
  TEXT,
  THROWN,
  TYPE,
  TYPE_SHIFT,
} = protocol;

/** For how long tasks run before timers and sockets get their turn. */
const SLICE_MS = 5;

/** How often, in tasks, a thread looks at its heap. */
const HEAP_EVERY = 16;

/** @type {any[]} */
const NOTHING = [];

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

/** Messages of tasks that are still to claim them. @type {Map<number, any[]>} */
const messages = new Map();
/** Tasks of this batch whose message was asked for before they were claimed. @type {Set<number>} */
const prefetched = new Set();
/** Tasks for whose bytes there is a place, and what they are of. @type {Map<number, number>} */
const wanted = new Map();
/** Tasks that wait for their message, or their bytes. @type {Map<number, (message: any[]) => void>} */
const waiting = new Map();

start();

async function start() {
  if (niceIncrement > 0) {
    const os = require('node:os');
    os.setPriority(0, os.getPriority(0) + niceIncrement);
  }
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
  engine.poolTell(0, protocol.READY);
  serve();
}

function onWake() {
  if (waiting.size > 0) receive();
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
    const encoding = kind & ENCODING;
    let value = encoding === JSON_TEXT ? values[nextValue++] : undefined;
    if (Atomics.compareExchange(table, at, TAKEN, CLAIMED) !== TAKEN) continue;
    const id = table[at + 1];
    const handler = handlers[table[at + 2]];
    if (encoding === TEXT) value = engine.poolPayload(slot, true);
    else if (encoding === COLUMNS)
      value = fromColumns(/** @type {string} */ (engine.poolPayload(slot, true)));
    else if (encoding === CLONE) value = decodeClone(/** @type {Buffer} */ (engine.poolPayload(slot, false)));
    else if (encoding === BYTES) value = landed(id);
    running++;
    isAlone = isExclusive;
    if (next < count) prefetch(next);
    if (encoding === PORT || (encoding === BYTES && value === undefined) || handler === undefined) {
      const late = runLate(slot, id, kind, table[at + 2], value);
      if (limit === 1) await late;
    } else {
      const started = timing ? performance.now() : 0;
      let result;
      let isThrown = false;
      try {
        result = handler(value);
        if (typeof result === 'object' && result !== null && typeof result.then === 'function') {
          if (limit > 1) {
            settleLater(slot, id, started, result);
            continue;
          }
          result = await result;
        }
      } catch (error) {
        isThrown = true;
        result = error;
      }
      const flushing = unflushed();
      if (flushing !== undefined) await flushing;
      finish(slot, id, started, isThrown, result);
    }
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
  const text = engine.poolTake();
  // Of the last batch, and taken by others.
  for (const [id, message] of messages) if (message[2] || message.length === 1) messages.delete(id);
  prefetched.clear();
  for (const id of wanted.keys()) if (!waiting.has(id)) forget(id);
  count = table[protocol.SLOTS * STRIDE];
  next = 0;
  nextValue = 0;
  values = text == null ? [] : JSON.parse(text);
  return count > 0;
}

/**
 * A task beside others: this one goes on when its promise is settled.
 * @param {number} slot
 * @param {number} id
 * @param {number} started
 * @param {any} promise
 */
async function settleLater(slot, id, started, promise) {
  let result;
  let isThrown = false;
  try {
    result = await promise;
  } catch (error) {
    isThrown = true;
    result = error;
  }
  const flushing = unflushed();
  if (flushing !== undefined) await flushing;
  finish(slot, id, started, isThrown, result);
  serve();
}

/**
 * A task whose function is not loaded yet, or whose value comes by message.
 * @param {number} slot
 * @param {number} id
 * @param {number} kind
 * @param {number} handlerId
 * @param {any} value
 */
async function runLate(slot, id, kind, handlerId, value) {
  let started = 0;
  let result;
  let isThrown = false;
  try {
    const encoding = kind & ENCODING;
    if (encoding === PORT || (encoding === BYTES && value === undefined)) {
      const message = await (encoding === PORT ? messageOf(id, kind) : bytesFor(slot, id, kind));
      // Withdrawn: aborted meanwhile, or not to be cloned.
      if (message.length === 1) {
        release(slot, id);
        return;
      }
      value = message[1];
    }
    const handler = await handlerOf(handlerId);
    started = timing ? performance.now() : 0;
    result = await handler(value);
  } catch (error) {
    isThrown = true;
    result = error;
  }
  const flushing = unflushed();
  if (flushing !== undefined) await flushing;
  finish(slot, id, started, isThrown, result);
  if (limit > 1) serve();
}

/**
 * @returns {any[] | Promise<any[]>}
 * @param {number} id
 * @param {number} kind
 */
function messageOf(id, kind) {
  receive();
  const message = messages.get(id);
  if (message !== undefined) {
    messages.delete(id);
    return message;
  }
  if ((kind & protocol.SENT) === 0 && !prefetched.has(id)) engine.poolTell(id, protocol.WANT);
  return new Promise((resolve) => waiting.set(id, resolve));
}

/**
 * @returns {any[] | Promise<any[]>}
 * @param {number} slot
 * @param {number} id
 * @param {number} kind
 */
function bytesFor(slot, id, kind) {
  if (!wanted.has(id)) want(slot, id, kind);
  receive();
  const message = messages.get(id);
  if (message === undefined) return new Promise((resolve) => waiting.set(id, resolve));
  messages.delete(id);
  forget(id);
  return message;
}

/**
 * Says where the bytes of a task shall go.
 * @param {number} slot
 * @param {number} id
 * @param {number} kind
 */
function want(slot, id, kind) {
  wanted.set(id, (kind >> TYPE_SHIFT) & TYPE);
  engine.poolWant(id, allocate(engine.poolPromised(slot)));
  engine.poolTell(id, protocol.WANT_BYTES);
}

/** The value of a task whose bytes have come, else `undefined`. @param {number} id */
function landed(id) {
  const type = wanted.get(id);
  if (type === undefined) return undefined;
  const buffer = engine.poolLanded(id);
  if (buffer === null) return undefined;
  wanted.delete(id);
  return fromBytes(buffer, type);
}

/** @param {number} id */
function forget(id) {
  wanted.delete(id);
  engine.poolForget(id);
}

/**
 * Asks for the message, or the bytes, of the next task while this one runs.
 * @param {number} slot
 */
function prefetch(slot) {
  const at = slot * STRIDE;
  const id = table[at + 1];
  const kind = table[at + 3];
  if ((kind & ENCODING) === BYTES) {
    if (table[at] === TAKEN && !wanted.has(id)) want(slot, id, kind);
    return;
  }
  if ((kind & protocol.REPEATABLE) === 0 || table[at] !== TAKEN || prefetched.has(id)) return;
  prefetched.add(id);
  engine.poolTell(id, protocol.PREFETCH);
}

/** Reads the messages that have come. */
function receive() {
  for (const [id, resolve] of waiting) {
    const value = landed(id);
    if (value === undefined) continue;
    waiting.delete(id);
    resolve([id, value]);
  }
  let entry;
  while ((entry = receiveMessageOnPort(port)) !== undefined) {
    const id = entry.message[0];
    const resolve = waiting.get(id);
    if (resolve === undefined) {
      messages.set(id, entry.message);
      continue;
    }
    waiting.delete(id);
    if (wanted.has(id)) forget(id);
    resolve(entry.message);
  }
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

/** What was printed goes before the result: the process may end with it. */
function unflushed() {
  if (process.stdout.writableLength === 0 && process.stderr.writableLength === 0) return undefined;
  return Promise.all(
    [process.stdout, process.stderr].map((stream) => new Promise((resolve) => stream.write('', resolve))),
  );
}

/**
 * @param {number} slot
 * @param {number} id
 */
function release(slot, id) {
  running--;
  isAlone = false;
  engine.poolDone(slot, id, EMPTY, -1);
}

/**
 * Hands a result back.
 * @param {number} slot
 * @param {number} id
 * @param {number} started
 * @param {boolean} isThrown
 * @param {any} result
 */
function finish(slot, id, started, isThrown, result) {
  const time = timing ? (performance.now() - started) * 1000 : -1;
  running--;
  isAlone = false;
  try {
    hand(slot, id, isThrown ? THROWN : 0, result, time);
  } catch (error) {
    // A DOMException, which in most lines of Node cannot be cloned either.
    const { message, name, stack } = /** @type {Error} */ (error);
    hand(slot, id, THROWN | protocol.UNCLONEABLE, { message, name, stack }, time);
  }
  if (heap > 0 && ++finished % HEAP_EVERY === 0) {
    const { used_heap_size: used } = require('node:v8').getHeapStatistics();
    if (used > heap) engine.poolTell(0, protocol.WORN);
  }
}

/**
 * @param {number} slot
 * @param {number} id
 * @param {number} flags
 * @param {any} result
 * @param {number} time
 */
function hand(slot, id, flags, result, time) {
  encoded.payload = undefined;
  const isMoved = flags === 0 && isMovable(result);
  const kind = isMoved ? PORT : encode(result);
  const { payload } = encoded;
  switch (kind) {
    case EMPTY:
      engine.poolDone(slot, id, flags | EMPTY, time);
      break;
    case CLONE:
      engine.poolDoneBytes(slot, id, flags | CLONE, payload, time);
      break;
    case PORT: {
      const type = isMoved ? -1 : typeOfBig(result);
      if (
        type >= 0 &&
        engine.poolDoneBig(slot, id, flags | BYTES | (type << TYPE_SHIFT), bytesOf(result), time)
      )
        break;
      post(
        port,
        id,
        isMoved ? result[valueSymbol] : result,
        isMoved ? [].concat(result[transferableSymbol]) : NOTHING,
      );
      engine.poolDone(slot, id, flags | PORT, time);
      break;
    }
    default:
      engine.poolDoneText(slot, id, flags | kind, payload, isWide(payload), time);
  }
}
