import { forkSides } from './lib/fork_sides.mjs';
import { alternate } from './lib/pair.mjs';

export const question = 'how much memory does an idle worker take, or a forked child?';

const metrics = /** @type {const} */ ({
  pss: { unit: 'MiB', better: 'lower' },
  rss: { unit: 'MiB', better: 'lower' },
  private: { unit: 'MiB', better: 'lower' },
});

export async function* cases({ smoke }) {
  const kinds = /** @type {const} */ ([
    ['worker', 'cluster', 'a worker that listens'],
    ['child', 'child_process', 'a child with a channel'],
  ]);
  for (const [kind, module, title] of kinds) {
    const sides = forkSides('worker_memory.cjs', module, { kind, count: 4 });
    yield { title, rows: await alternate({ rounds: smoke ? 1 : 5, sides, metrics }) };
  }
}
