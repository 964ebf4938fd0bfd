// Waiting for things that have no event.

/** @param {number} milliseconds */
export function sleep(milliseconds) {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

/**
 * Waits until a condition holds and returns its value; throws with `what` if it does not in time.
 * @template T
 * @param {() => T | Promise<T>} condition
 * @param {{ timeout?: number, interval?: number, what?: string | (() => string) }} [options]
 * @returns {Promise<T>}
 */
export async function waitFor(condition, { timeout = 5000, interval = 10, what = 'condition' } = {}) {
  const deadline = performance.now() + timeout;
  for (;;) {
    const value = await condition();
    if (value) return value;
    if (performance.now() > deadline) {
      throw new Error(`not within ${timeout} ms: ${typeof what === 'function' ? what() : what}`);
    }
    await sleep(interval);
  }
}
