// Runs a program of fixtures/ on one side of a pair, in a fresh process.

import { runNode } from './processes.mjs';

/** The child_process of each side, as the fixtures require it. */
export const CHILD_PROCESS = { node: 'node:child_process', rcluster: 'rcluster/child_process' };

/**
 * Runs a fixture with the module of one side and returns the figures it prints as JSON.
 * @param {string} name file name in fixtures/
 * @param {'node' | 'rcluster'} side
 * @param {object} options for the fixture
 */
export async function runFixture(name, side, options) {
  const file = new URL(`../fixtures/${name}`, import.meta.url);
  return JSON.parse(await runNode(file, [JSON.stringify(options)], { BENCH_MODULE: CHILD_PROCESS[side] }));
}

/** Both sides of a fixture, for `alternate`. */
export function fixturePair(name, options) {
  return {
    node: () => runFixture(name, 'node', options),
    rcluster: () => runFixture(name, 'rcluster', options),
  };
}
