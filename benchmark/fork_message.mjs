import { fileURLToPath } from 'node:url';

import { alternate } from './lib/pair.mjs';
import { runNode } from './lib/processes.mjs';

export const question = 'how long does a forked child take until its first message has come?';

const metrics = /** @type {const} */ ({ message: { unit: 'ms', better: 'lower' } });
const fixture = new URL('fixtures/fork_message.cjs', import.meta.url);
const register = fileURLToPath(new URL('../register.js', import.meta.url));

const SIDES = {
  node: { BENCH_MODULE: 'node:child_process' },
  rcluster: { BENCH_MODULE: 'rcluster/child_process' },
  // Parent and children know Node's module only, and are started with the preload.
  register: { BENCH_MODULE: 'node:child_process', NODE_OPTIONS: `--require ${register}` },
  // The parent's share of the difference.
  'stock children': { BENCH_MODULE: 'rcluster/child_process', BENCH_WORKER_MODULE: 'node:child_process' },
};

export async function* cases({ smoke }) {
  const options = JSON.stringify({ forks: smoke ? 1 : 8 });
  const run = async (env) => JSON.parse(await runNode(fixture, [options], env));
  const sides = Object.fromEntries(Object.entries(SIDES).map(([name, env]) => [name, () => run(env)]));
  yield { title: 'one child at a time', rows: await alternate({ rounds: smoke ? 1 : 7, sides, metrics }) };
}
