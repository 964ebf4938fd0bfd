'use strict';
// @ts-check

// What JavaScript calls for every task, or nearly, in the engine. Texts go along with their length, and 1 where they have
// characters beyond Latin-1; without a text there are none of the three. `null` is `undefined` here.

const { engine } = require('../native');

/**
 * @typedef {object} Calls
 * @property {(pool: number, text: string, length: number, isWide: number) => void} put keeps a payload for `submit`
 * @property {(pool: number, count: number, fields: Int32Array, thread: number, text?: string, length?: number,
 *   isWide?: number) => void} submit queues tasks, five numbers each, for a thread or with -1 for any; their JSON is in the
 *   text, one after the other; other payloads were put before
 * @property {() => string | undefined} completions reads completions into `poolCells`; the JSON of all as an array
 * @property {(index: number, isText: number) => any} result the payload of one of those, if it is no JSON
 * @property {() => string | undefined} take fills a thread's table; the JSON of all its tasks as an array
 * @property {(slot: number, isText: number) => any} payload the payload of a task just claimed, if it is no JSON
 * @property {(task: number, kind: number) => void} ask asks the pool's owner for the value of a task, before all results
 * @property {(slot: number, task: number, kind: number, time: number, text?: string, length?: number,
 *   isWide?: number) => void} done hands back a result; the time is in microseconds, negative: not counted
 */

/** @type {Calls} */
module.exports = /** @type {any} */ (engine.poolFunctions());
