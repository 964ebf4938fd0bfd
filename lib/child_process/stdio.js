'use strict';
// @ts-check

// The `stdio` option as data, one entry a descriptor of the child. Makes no handles, so has nothing to undo when a
// later entry turns out wrong.

const { inspect } = require('node:util');

const { codedError } = require('../errors');
const { handleKind } = require('./handles');
const { arrayFind, arrayPush } = require('../untampered');

/**
 * @typedef {object} StdioEntry
 * @property {'pipe' | 'overlapped' | 'ignore' | 'inherit' | 'fd' | 'wrap' | 'ipc'} type
 * @property {boolean} [readable] whether the child reads from this pipe
 * @property {boolean} [writable] whether the child writes to this pipe
 * @property {number} [fd] the descriptor of this process to give
 * @property {any} [handle] the handle whose descriptor to give
 * @property {string} [wrapType] what kind of handle that is
 * @property {any} [_stdio] the stream or server the handle was found in
 * @property {ArrayBufferView | string} [input] what spawnSync is to write
 */

/**
 * The array a one-word `stdio` stands for.
 * @param {any} word
 * @param {string} [channel] added as the last entry
 * @returns {any[]}
 */
function stdioStringToArray(word, channel) {
  let entries;
  switch (word) {
    case 'ignore':
    case 'overlapped':
    case 'pipe':
      entries = [word, word, word];
      break;
    case 'inherit':
      entries = [0, 1, 2];
      break;
    default:
      throw codedError('ERR_INVALID_ARG_VALUE', 'stdio', word);
  }
  return channel ? [...entries, channel] : entries;
}

/** The handle in a stream, a server or itself; undefined if there is none. @param {any} value */
function findHandle(value) {
  return arrayFind([value, value.handle, value._handle], (candidate) => candidate && handleKind(candidate));
}

/**
 * @param {any} value
 * @param {number} slot
 * @returns {StdioEntry | undefined} undefined for what only spawnSync takes
 */
function entryOf(value, slot) {
  const wanted = value ?? (slot < 3 ? 'pipe' : 'ignore');
  switch (wanted) {
    case 'ignore':
      return { type: 'ignore' };
    case 'pipe':
    case 'overlapped':
      return { type: wanted, readable: slot === 0, writable: slot !== 0 };
    case 'ipc':
      return { type: 'ipc' };
    case 'inherit':
      return { type: 'inherit', fd: slot };
  }
  if (typeof wanted === 'number') {
    return wanted < 0
      ? { type: 'pipe', readable: slot === 0, writable: slot !== 0 }
      : { type: 'fd', fd: wanted };
  }
  if (typeof wanted.fd === 'number') return { type: 'fd', fd: wanted.fd };
  const handle = typeof wanted === 'object' || typeof wanted === 'function' ? findHandle(wanted) : undefined;
  if (handle) return { type: 'wrap', wrapType: handleKind(handle) || undefined, handle, _stdio: wanted };
  if (ArrayBuffer.isView(wanted) || typeof wanted === 'string') return undefined;
  throw codedError('ERR_INVALID_ARG_VALUE', 'stdio', wanted);
}

/**
 * Checks a `stdio` option.
 * @param {any} stdio
 * @param {boolean} sync whether it is spawnSync's
 * @returns {{ stdio: StdioEntry[], ipcFd: number | undefined }}
 */
function getValidStdio(stdio, sync) {
  let values = stdio;
  if (typeof stdio === 'string') values = stdioStringToArray(stdio);
  else if (!Array.isArray(stdio)) throw codedError('ERR_INVALID_ARG_VALUE', 'stdio', stdio);

  /** @type {StdioEntry[]} */
  const entries = [];
  let ipcFd;
  for (let slot = 0; slot < Math.max(values.length, 3); slot++) {
    const entry = entryOf(values[slot], slot);
    if (entry === undefined) {
      if (!sync) throw codedError('ERR_INVALID_SYNC_FORK_INPUT', inspect(values[slot]));
      // As in Node, whose spawnSync takes such an entry and forgets it: those behind it move up.
      continue;
    }
    if (entry.type === 'ipc') {
      if (sync) throw codedError('ERR_IPC_SYNC_FORK');
      if (ipcFd !== undefined) throw codedError('ERR_IPC_ONE_PIPE');
      ipcFd = slot;
    }
    arrayPush(entries, entry);
  }
  return { stdio: entries, ipcFd };
}

module.exports = { getValidStdio, stdioStringToArray };
