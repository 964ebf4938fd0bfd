import { fileURLToPath } from 'node:url';

import { alternate } from './lib/pair.mjs';
import { runNode } from './lib/processes.mjs';

export const question = 'how long does a worker take from fork() until it listens?';

const metrics = /** @type {const} */ ({ listening: { unit: 'ms', better: 'lower' } });
const fixture = new URL('fixtures/fork_listening.cjs', import.meta.url);
const register = fileURLToPath(new URL('../register.js', import.meta.url));

const SIDES = {
  node: { BENCH_MODULE: 'node:cluster' },
  rcluster: { BENCH_MODULE: 'rcluster' },
  // Primary and workers know Node's cluster only, and are started with the preload.
  register: { BENCH_MODULE: 'node:cluster', NODE_OPTIONS: `--require ${register}` },
  // The primary's share of the difference.
  'stock workers': { BENCH_MODULE: 'rcluster', BENCH_WORKER_MODULE: 'node:cluster' },
};

export async function* cases({ smoke }) {
  for (const atOnce of [1, 2, 4]) {
    const options = JSON.stringify({ atOnce, forks: smoke ? atOnce : 8 });
    const run = async (env) => JSON.parse(await runNode(fixture, [options], env));
    const sides = Object.fromEntries(Object.entries(SIDES).map(([name, env]) => [name, () => run(env)]));
    yield {
      title: atOnce === 1 ? 'one worker at a time' : `${atOnce} at once`,
      rows: await alternate({ rounds: smoke ? 1 : 7, sides, metrics }),
    };
  }
}
