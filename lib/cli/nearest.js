'use strict';
// @ts-check

/** How many letters must be changed, added, left out or swapped with the next. @param {string} a @param {string} b */
function distance(a, b) {
  /** @type {number[][]} */
  const rows = [Array.from({ length: b.length + 1 }, (_, at) => at)];
  for (let i = 1; i <= a.length; i++) {
    rows[i] = [i];
    for (let j = 1; j <= b.length; j++) {
      const cost = a[i - 1] === b[j - 1] ? 0 : 1;
      rows[i][j] = Math.min(rows[i - 1][j] + 1, rows[i][j - 1] + 1, rows[i - 1][j - 1] + cost);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        rows[i][j] = Math.min(rows[i][j], rows[i - 2][j - 2] + 1);
      }
    }
  }
  return rows[a.length][b.length];
}

/**
 * The name that was probably meant.
 * @param {string} name
 * @param {Iterable<string>} names
 * @returns {string | undefined} nothing if none is near
 */
function nearest(name, names) {
  const wanted = name.toLowerCase();
  let best;
  let least = Math.max(2, Math.floor(wanted.length / 2)) + 1;
  for (const candidate of names) {
    const cost = distance(wanted, candidate.toLowerCase());
    if (cost < least) {
      least = cost;
      best = candidate;
    }
  }
  return best;
}

module.exports = { nearest };
