'use strict';
// @ts-check

// Messages of a channel as an async iterator, which reads no faster than its user does.

const { validateAbortSignal, validateObject } = require('../errors');

/** Messages kept before reading pauses, and from how many on it goes on. */
const HIGH_WATER_MARK = 64;
const LOW_WATER_MARK = 16;

/** How many iterations of a channel have enough for now. @type {WeakMap<object, number>} */
const pausing = new WeakMap();

/**
 * Iterates over the messages of a child, or of this process, until the channel is closed.
 * @param {any} ipc
 * @param {{ signal?: AbortSignal, handles?: boolean }} [options] with `handles`, each is `{ message, handle }`
 */
function messages(ipc, options = {}) {
  validateObject(options, 'options');
  const { signal } = options;
  if (signal !== undefined) validateAbortSignal(signal, 'options.signal');
  return iterate(ipc, options);
}

/** @param {any} ipc @param {{ signal?: AbortSignal, handles?: boolean }} options */
async function* iterate(ipc, { signal, handles = false }) {
  const { child } = ipc;
  /** @type {Array<{ message: any, handle: any }>} */
  const queue = [];
  let isPaused = false;
  let isOver = !child.connected;
  /** @type {() => void} */
  let wake = () => {};

  const pause = (/** @type {boolean} */ on) => {
    if (isPaused === on) return;
    isPaused = on;
    countPausing(ipc.wire, on ? 1 : -1);
  };
  const onMessage = (/** @type {any} */ message, /** @type {any} */ handle) => {
    queue.push({ message, handle });
    if (queue.length >= HIGH_WATER_MARK) pause(true);
    wake();
  };
  const onEnd = () => {
    isOver = true;
    wake();
  };

  signal?.throwIfAborted();
  child.on('message', onMessage);
  child.on('disconnect', onEnd);
  signal?.addEventListener('abort', onEnd);
  try {
    for (;;) {
      while (queue.length > 0) {
        signal?.throwIfAborted();
        const next = /** @type {{ message: any, handle: any }} */ (queue.shift());
        yield handles ? next : next.message;
        if (queue.length <= LOW_WATER_MARK) pause(false);
      }
      signal?.throwIfAborted();
      if (isOver) return;
      await new Promise((resolve) => {
        wake = () => resolve(undefined);
      });
    }
  } finally {
    child.off('message', onMessage);
    child.off('disconnect', onEnd);
    signal?.removeEventListener('abort', onEnd);
    // What nobody else has heard waits for the next listener, as what comes before the first one does.
    if (child.listenerCount('message') === 0) {
      ipc.putBack(queue.map(({ message, handle }) => ['message', message, handle]));
    }
    pause(false);
  }
}

/** Reading goes on when the slowest can take more. @param {{ pause: (on: boolean) => void }} wire @param {1 | -1} change */
function countPausing(wire, change) {
  const before = pausing.get(wire) ?? 0;
  pausing.set(wire, before + change);
  if (before === 0 || before + change === 0) wire.pause(change === 1);
}

module.exports = { messages };
