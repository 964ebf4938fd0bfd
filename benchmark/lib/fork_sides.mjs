// What is compared where processes are forked: both modules, and what each end of ours adds.

import { fileURLToPath } from 'node:url';

import { runNode } from './processes.mjs';

const register = fileURLToPath(new URL('../../register.js', import.meta.url));

/**
 * The sides of a fixture that prints its figures as JSON, for `alternate`. It requires the module BENCH_MODULE, and in
 * what it forks BENCH_WORKER_MODULE, where that is set.
 * @param {string} name file name in fixtures/
 * @param {'cluster' | 'child_process'} kind of module
 * @param {object} options for the fixture
 */
export function forkSides(name, kind, options) {
  const nodes = `node:${kind}`;
  const ours = kind === 'cluster' ? 'rcluster' : `rcluster/${kind}`;
  const sides = {
    node: { BENCH_MODULE: nodes },
    rcluster: { BENCH_MODULE: ours },
    // Both ends know Node's module only, and are started with the preload.
    register: { BENCH_MODULE: nodes, NODE_OPTIONS: `--require ${register}` },
    // The parent's share of the difference.
    [kind === 'cluster' ? 'stock workers' : 'stock children']: {
      BENCH_MODULE: ours,
      BENCH_WORKER_MODULE: nodes,
    },
  };
  const fixture = new URL(`../fixtures/${name}`, import.meta.url);
  const run = async (env) => JSON.parse(await runNode(fixture, [JSON.stringify(options)], env));
  return Object.fromEntries(Object.entries(sides).map(([side, env]) => [side, () => run(env)]));
}
