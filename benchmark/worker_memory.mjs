import { fileURLToPath } from 'node:url';

import { alternate } from './lib/pair.mjs';
import { runNode } from './lib/processes.mjs';

export const question = 'how much memory does an idle worker take, or a forked child?';

const metrics = /** @type {const} */ ({
  pss: { unit: 'MiB', better: 'lower' },
  rss: { unit: 'MiB', better: 'lower' },
  private: { unit: 'MiB', better: 'lower' },
});
const fixture = new URL('fixtures/worker_memory.cjs', import.meta.url);
const register = fileURLToPath(new URL('../register.js', import.meta.url));

const NODES = { BENCH_MODULE: 'node:cluster', BENCH_CHILD_MODULE: 'node:child_process' };
const SIDES = {
  node: NODES,
  rcluster: { BENCH_MODULE: 'rcluster', BENCH_CHILD_MODULE: 'rcluster/child_process' },
  // All know Node's modules only, and are started with the preload.
  register: { ...NODES, NODE_OPTIONS: `--require ${register}` },
};

export async function* cases({ smoke }) {
  const titles = { worker: 'a worker that listens', child: 'a child with a channel' };
  for (const [kind, title] of Object.entries(titles)) {
    const options = JSON.stringify({ kind, count: 4 });
    const run = async (env) => JSON.parse(await runNode(fixture, [options], env));
    const sides = Object.fromEntries(Object.entries(SIDES).map(([name, env]) => [name, () => run(env)]));
    yield { title, rows: await alternate({ rounds: smoke ? 1 : 5, sides, metrics }) };
  }
}
