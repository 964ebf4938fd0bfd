// Runs the sides of a comparison in turn, and boils what they measured down to medians and a ratio.

import { median } from './stats.mjs';

/**
 * @typedef {{ unit: string, better: 'higher' | 'lower' }} Metric
 * @typedef {{ metric: string, unit: string, medians: Record<string, number | null>, ratio: number | null,
 *   all: Record<string, number[]> }} Row a ratio above 1 is rcluster's lead
 */

/** How many times better rcluster is; null where there is nothing to compare. */
export function lead(node, rcluster, better) {
  if (!node || !rcluster) return null;
  return better === 'higher' ? rcluster / node : node / rcluster;
}

/**
 * Runs every side once a round, the order turned by one from round to round, so that a slow spell of the machine
 * does not fall on one side.
 * @param {{ rounds: number, sides: Record<string, () => Promise<Record<string, number | null>>>,
 *   metrics: Record<string, Metric> }} options the sides `node` and `rcluster` make the ratio
 * @returns {Promise<Row[]>}
 */
export async function alternate({ rounds, sides, metrics }) {
  const names = Object.keys(sides);
  /** @type {Record<string, Record<string, number | null>[]>} */
  const runs = Object.fromEntries(names.map((name) => [name, []]));
  for (let round = 0; round < rounds; round++) {
    for (let i = 0; i < names.length; i++) {
      const name = names[(i + round) % names.length];
      runs[name].push(await sides[name]());
    }
  }
  return Object.entries(metrics).map(([metric, { unit, better }]) => {
    const all = Object.fromEntries(names.map((name) => [name, runs[name].map((run) => run[metric] ?? null)]));
    const medians = Object.fromEntries(names.map((name) => [name, median(all[name])]));
    // Each round against its own partner: what slows the machine for a while then slows both.
    const ratios = (all.node ?? []).map((node, round) => lead(node, all.rcluster[round], better));
    const ratio = median(ratios);
    return { metric, unit, medians, ratio, all };
  });
}
