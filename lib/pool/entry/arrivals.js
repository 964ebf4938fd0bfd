'use strict';
// @ts-check

// In a thread of the pool: values that do not come with the batch. Either they come by message, or the thread sets memory
// aside into which the pool's owner copies them.

const { receiveMessageOnPort } = require('node:worker_threads');

const { engine } = require('../../native');
const { allocate, fromBytes } = require('../bytes');
const calls = require('../calls');
const {
  BYTES,
  ENCODING,
  PORT,
  PREFETCH,
  REPEATABLE,
  SENT,
  TYPE,
  TYPE_SHIFT,
  WANT,
  WANT_BYTES,
} = require('../protocol');

/** In place of a value that will not come: its task was aborted meanwhile, or it cannot be cloned. */
const WITHDRAWN = Symbol('withdrawn');

/** @type {import('node:worker_threads').MessagePort} */
let port;

/** Messages of tasks that are still to claim them. @type {Map<number, any[]>} */
const messages = new Map();
/** Tasks of this batch whose message was asked for before they were claimed. @type {Set<number>} */
const prefetched = new Set();
/** Tasks for whose bytes there is a place, and what they are of. @type {Map<number, number>} */
const wanted = new Map();
/** Tasks that wait for their value. @type {Map<number, (value: any) => void>} */
const waiting = new Map();

/** @param {import('node:worker_threads').MessagePort} from */
function open(from) {
  port = from;
}

/**
 * The value of a task that has been claimed, or a promise of it; `WITHDRAWN` if there is none.
 * @param {number} slot
 * @param {number} id
 * @param {number} kind
 * @returns {any}
 */
function valueOf(slot, id, kind) {
  const isBytes = (kind & ENCODING) === BYTES;
  if (isBytes) {
    const value = landed(id);
    if (value !== undefined) return value;
    if (!wanted.has(id)) want(slot, id, kind);
  }
  receive();
  const message = messages.get(id);
  if (message !== undefined) {
    messages.delete(id);
    if (isBytes) forget(id);
    return valueIn(message);
  }
  if (!isBytes && (kind & SENT) === 0 && !prefetched.has(id)) calls.ask(id, WANT);
  return new Promise((resolve) => waiting.set(id, resolve));
}

/** @param {any[]} message */
function valueIn(message) {
  return message.length === 1 ? WITHDRAWN : message[1];
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
  calls.ask(id, WANT_BYTES);
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
 * Asks for the value of the next task, which nobody has taken back, while the one before runs.
 * @param {number} slot
 * @param {number} id
 * @param {number} kind
 */
function prefetch(slot, id, kind) {
  if ((kind & ENCODING) === BYTES) {
    if (!wanted.has(id)) want(slot, id, kind);
  } else if ((kind & ENCODING) === PORT && (kind & REPEATABLE) !== 0 && !prefetched.has(id)) {
    prefetched.add(id);
    calls.ask(id, PREFETCH);
  }
}

/** Reads what has come. */
function receive() {
  for (const [id, resolve] of waiting) {
    const value = landed(id);
    if (value === undefined) continue;
    waiting.delete(id);
    resolve(value);
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
    resolve(valueIn(entry.message));
  }
}

/** The batch is over: what was asked for and has not been claimed, others have taken. */
function endBatch() {
  for (const [id, message] of messages) if (message[2] || message.length === 1) messages.delete(id);
  prefetched.clear();
  for (const id of wanted.keys()) if (!waiting.has(id)) forget(id);
}

module.exports = { WITHDRAWN, endBatch, open, prefetch, receive, valueOf };
