import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

import { alternate } from './lib/pair.mjs';
import { inherited } from './lib/processes.mjs';
import { median } from './lib/stats.mjs';

export const question = 'how much later is a program ready that is started with rcluster/register?';

const metrics = /** @type {const} */ ({ start: { unit: 'ms', better: 'lower' } });
const file = (/** @type {string} */ name) => fileURLToPath(new URL(name, import.meta.url));

/** Milliseconds of one `node -e 0`. */
function timeOf(args) {
  const startedAt = performance.now();
  const { status } = spawnSync(process.execPath, [...args, '-e', '0'], { stdio: 'ignore', env: inherited });
  if (status !== 0) throw new Error(`node ${args.join(' ')} ended with ${status}`);
  return performance.now() - startedAt;
}

/** The median of a few starts: one alone says little. */
const startOf = (args, starts) => async () => ({
  start: median(Array.from({ length: starts }, () => timeOf(args))),
});

export async function* cases({ smoke }) {
  const starts = smoke ? 1 : 3;
  const sides = {
    node: startOf([], starts),
    rcluster: startOf(['--require', file('../register.js')], starts),
    // What it costs to load Node's own modules, which any program that uses them pays.
    'child_process and cluster': startOf(['--require', file('fixtures/node_modules_loaded.cjs')], starts),
  };
  yield { title: 'node -e 0', rows: await alternate({ rounds: smoke ? 1 : 15, sides, metrics }) };
}
