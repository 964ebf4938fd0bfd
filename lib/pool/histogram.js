'use strict';
// @ts-check

// Summaries of durations, in milliseconds, with the names that Piscina gives them.

const percentiles = [0.001, 0.01, 0.1, 1, 2.5, 10, 25, 50, 75, 90, 97.5, 99, 99.9, 99.99, 99.999];
const names = percentiles.map((percent) => `p${`${percent}`.replace('.', '_')}`);

/** @param {number[]} moments mean, deviation, least, greatest @param {number[]} values of the percentiles */
function summary([mean, stddev, min, max], values) {
  /** @type {Record<string, number>} */
  const result = {
    average: mean / 1000,
    mean: mean / 1000,
    stddev: stddev / 1000,
    min: min / 1000,
    max: max / 1000,
  };
  names.forEach((name, i) => (result[name] = values[i] / 1000));
  return result;
}

/** Of one of Node's histograms. @param {import('node:perf_hooks').RecordableHistogram} histogram */
function summaryOf(histogram) {
  const { max, mean, min, stddev } = histogram;
  return summary(
    [mean, stddev, min, max],
    percentiles.map((percent) => histogram.percentile(percent)),
  );
}

/** Of the engine's: count first, then moments, then percentiles. @param {number[]} figures */
function summaryOfFigures([, ...figures]) {
  return summary(figures.slice(0, 4), figures.slice(4));
}

module.exports = { percentiles, summaryOf, summaryOfFigures };
