'use strict';
// @ts-check

// Messages of a channel as an async iterator, which reads no faster than its user does.

/** Messages kept before reading pauses, and from how many on it goes on. */
const HIGH_WATER_MARK = 64;
const LOW_WATER_MARK = 16;

/**
 * Iterates over the messages of a child, or of this process, until the channel is closed.
 * @param {any} emitter
 * @param {{ pause: (on: boolean) => void }} reading
 * @param {{ signal?: AbortSignal, handles?: boolean }} [options] with `handles`, each is `{ message, handle }`
 */
async function* messages(emitter, reading, { signal, handles = false } = {}) {
  /** @type {any[]} */
  const queue = [];
  let isPaused = false;
  let isOver = !emitter.connected;
  /** @type {() => void} */
  let wake = () => {};

  const pause = (/** @type {boolean} */ on) => {
    if (isPaused === on) return;
    isPaused = on;
    reading.pause(on);
  };
  const onMessage = (/** @type {any} */ message, /** @type {any} */ handle) => {
    queue.push(handles ? { message, handle } : message);
    if (queue.length >= HIGH_WATER_MARK) pause(true);
    wake();
  };
  const onEnd = () => {
    isOver = true;
    wake();
  };

  signal?.throwIfAborted();
  emitter.on('message', onMessage);
  emitter.on('disconnect', onEnd);
  signal?.addEventListener('abort', onEnd);
  try {
    for (;;) {
      while (queue.length > 0) {
        signal?.throwIfAborted();
        yield queue.shift();
        if (queue.length <= LOW_WATER_MARK) pause(false);
      }
      signal?.throwIfAborted();
      if (isOver) return;
      await new Promise((resolve) => {
        wake = () => resolve(undefined);
      });
    }
  } finally {
    emitter.off('message', onMessage);
    emitter.off('disconnect', onEnd);
    signal?.removeEventListener('abort', onEnd);
    pause(false);
  }
}

module.exports = { messages };
