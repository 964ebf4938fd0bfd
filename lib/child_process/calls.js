'use strict';
// @ts-check

// What JavaScript calls for every message, or nearly, in the engine. What writes returns 0 if it is written, 1 if it is
// queued, else a negative errno. Bytes are Uint8Arrays whose memory is not shared. `null` is `undefined` here.

const { engine } = require('../native');

/**
 * @typedef {object} Calls
 * @property {(channel: number, line: string, fd: number) => number} writeLine adds the newline; the descriptor goes with it
 *   unless negative, and stays the caller's
 * @property {(channel: number, frame: Uint8Array, fd: number) => number} writeFrame writes a frame, its length included, or a
 *   line with its newline
 * @property {(channel: number, bytes: Uint8Array, end: number, count: number) => number} writeMany writes so many messages
 * @property {(channel: number, head: Uint8Array, end: number, blocks: Uint8Array[]) => number} writeParts writes one message
 *   of a ring: of the head what comes before its end, and blocks, each padded to 8 bytes
 * @property {(channel: number, parts: Uint8Array[]) => number} writeGathered writes one message of the socket, its length
 *   included
 * @property {(channel: number) => number} queued bytes
 * @property {(channel: number) => string | undefined} takeLines takes the lines that have arrived, with their newlines
 * @property {(channel: number) => string | string[] | Buffer | undefined} take takes what has arrived by a ring: as one list,
 *   if it is all pieces of one; the skeleton of a parcel and its strings, of which there are none if it cannot be read; or
 *   frames with their lengths
 * @property {(channel: number) => Buffer | undefined} takeFrames takes the frames that have arrived, with their lengths
 * @property {(channel: number) => number} lendLane lends the lane, to be written to by JavaScript; how many bytes have been
 *   written, modulo 2^32, or -1 if it is not to be had now
 * @property {(channel: number, written: number) => void} resumeLane ends the loan
 * @property {(channel: number) => number} wake wakes the other side if it still sleeps; 0, or a negative errno if it has gone
 * @property {(channel: number, isReferenced: number) => void} setRef chooses whether it keeps the event loop alive
 */

/** @type {Calls} */
module.exports = /** @type {any} */ (engine.channelFunctions());
