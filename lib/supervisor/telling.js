'use strict';
// @ts-check

// What a worker tells of itself, in memory that it shares with the primary.

const v8 = require('node:v8');

const { native } = require('../platform');
const { activeRequests, counts } = require('./drain');
const { NATIVE, NUMBERS, ROOM } = require('./numbers');

/** How often, in milliseconds. */
const INTERVAL = 1000;
/** A heap that is to be replaced in time is told of more often. */
const HEAP_INTERVAL = 250;

/** Where this process is, when it is asked in the midst of something. */
function stackHere() {
  const limit = Error.stackTraceLimit;
  const holder = { stack: '' };
  Error.stackTraceLimit = 50;
  Error.captureStackTrace(holder, stackHere);
  const { stack } = holder;
  Error.stackTraceLimit = limit;
  // The first line is the name of an error that there is none of.
  return String(stack).split('\n').slice(1).join('\n');
}

/** @param {{ watchHeap: boolean }} told */
function start({ watchHeap }) {
  if (!native) return;
  const { engine } = require('../native');
  const numbers = new Float64Array(ROOM);
  // Told by others: not to be written over.
  const own = NUMBERS.map((name, at) => ({ name, at })).filter(({ name }) => !NATIVE.includes(name));
  const tell = () => {
    const heap = v8.getHeapStatistics();
    /** @type {Record<string, number>} */
    const values = {
      heapUsed: heap.used_heap_size,
      heapTotal: heap.total_heap_size,
      heapLimit: heap.heap_size_limit,
      external: heap.external_memory,
      requests: counts.requests,
      active: activeRequests(),
    };
    for (const { name, at } of own) numbers[at] = values[name] ?? 0;
    engine.superviseTell(numbers);
  };
  tell();
  setInterval(tell, watchHeap ? HEAP_INTERVAL : INTERVAL).unref();
  // What was done since it told last is to be in the sums too.
  process.on('exit', tell);
  engine.superviseHeap();
  engine.superviseAnswer(stackHere);
}

module.exports = { start };
