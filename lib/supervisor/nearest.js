'use strict';
// @ts-check

/**
 * How many letters have to be put in, taken out, changed or swapped with the next to make one word of another.
 * @param {string} from
 * @param {string} to
 */
function distance(from, to) {
  /** @type {number[][]} */
  const rows = [Array.from({ length: to.length + 1 }, (_, at) => at)];
  for (let i = 1; i <= from.length; i++) {
    const row = (rows[i] = [i]);
    for (let j = 1; j <= to.length; j++) {
      const change = from[i - 1] === to[j - 1] ? 0 : 1;
      row[j] = Math.min(rows[i - 1][j] + 1, row[j - 1] + 1, rows[i - 1][j - 1] + change);
      const isSwap = i > 1 && j > 1 && from[i - 1] === to[j - 2] && from[i - 2] === to[j - 1];
      if (isSwap) row[j] = Math.min(row[j], rows[i - 2][j - 2] + 1);
    }
  }
  return rows[from.length][to.length];
}

/**
 * The word that was probably meant; undefined where none is near.
 * @param {string} word
 * @param {readonly string[]} words
 */
function nearest(word, words) {
  const plain = (/** @type {string} */ text) => text.toLowerCase().replaceAll(/[-_]/g, '');
  let best;
  let least = Math.max(2, Math.floor(word.length / 3)) + 1;
  for (const candidate of words) {
    const far = distance(plain(word), plain(candidate));
    if (far < least) [best, least] = [candidate, far];
  }
  return best;
}

module.exports = { nearest };
