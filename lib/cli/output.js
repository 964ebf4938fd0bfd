'use strict';
// @ts-check

// Lines as `rcluster logs` prints them.

/** @param {number} worker @param {string} line */
function labelled(worker, line) {
  return `${worker === 0 ? 'rcluster' : worker} | ${line}`;
}

/** Makes lines of the pieces in which each worker's output comes. */
class LineJoiner {
  /** The line of each stream that is not complete, and what it came with. @type {Map<string, { event: any, line: string }>} */
  #partial = new Map();

  /** @param {{ worker: number, stream: string, text: string }} event @returns {string[]} the lines it completes */
  push(event) {
    const key = `${event.worker} ${event.stream}`;
    const lines = ((this.#partial.get(key)?.line ?? '') + event.text).split('\n');
    this.#partial.set(key, { event, line: /** @type {string} */ (lines.pop()) });
    return lines;
  }

  /** The lines that were never completed. */
  rest() {
    return [...this.#partial.values()].filter(({ line }) => line !== '');
  }
}

module.exports = { LineJoiner, labelled };
