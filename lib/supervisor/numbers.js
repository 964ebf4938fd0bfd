'use strict';
// @ts-check

/**
 * What a supervised worker tells of itself, in the order in which it is in the memory that it shares with the primary.
 * `src/cluster/load.rs` knows the places of some, and which the native side writes.
 */
const NUMBERS = Object.freeze([
  'heapUsed', 'heapTotal', 'heapLimit', 'external', 'arrayBuffers', 'gcCount', 'gcTime', 'delayMean', 'delayP50',
  'delayP99', 'requests', 'active', 'delayMax', 'nearHeapLimit',
]); // prettier-ignore

/** Numbers that the engine's native side writes by itself. */
const NATIVE = Object.freeze([
  'gcCount',
  'gcTime',
  'delayMean',
  'delayP50',
  'delayP99',
  'delayMax',
  'nearHeapLimit',
]);

const ROOM = 24;

/** @param {string} name */
const placeOf = (name) => NUMBERS.indexOf(name);

module.exports = { NATIVE, NUMBERS, ROOM, placeOf };
