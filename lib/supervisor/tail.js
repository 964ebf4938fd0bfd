'use strict';
// @ts-check

/** The end of what was written to a stream: what says why a process has failed. */
class Tail {
  /** @param {number} limit in bytes */
  constructor(limit = 8192) {
    this.limit = limit;
    /** @type {Buffer[]} */
    this.chunks = [];
    this.length = 0;
  }

  /** @param {Buffer} chunk */
  add(chunk) {
    this.chunks.push(chunk.length > this.limit ? chunk.subarray(-this.limit) : chunk);
    this.length += this.chunks[this.chunks.length - 1].length;
    while (this.length - this.chunks[0].length >= this.limit) {
      this.length -= /** @type {Buffer} */ (this.chunks.shift()).length;
    }
    // Small pieces would otherwise hold on to large ones that they are cut out of.
    if (this.chunks.length > 64) this.chunks = [Buffer.concat(this.chunks)];
  }

  toString() {
    const all = Buffer.concat(this.chunks);
    return all.subarray(-this.limit).toString('utf8');
  }
}

module.exports = { Tail };
