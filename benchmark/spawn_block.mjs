import { alternate } from './lib/pair.mjs';
import { fixturePair } from './lib/fixture.mjs';

export const question = 'for how long does one spawn() hold the JS thread?';

const metrics = /** @type {const} */ ({
  'call p50': { unit: 'ms', better: 'lower' },
  'call p99': { unit: 'ms', better: 'lower' },
  'JS thread busy': { unit: 'ms a child', better: 'lower' },
});

/** Small parent and big parent: Node's spawn copies the page tables of the parent, so its cost grows with it. */
export async function* cases({ smoke }) {
  for (const { title, ...options } of [
    { title: "60 MB, stdio 'ignore'", rssMiB: 60, stdio: 'ignore', count: 300 },
    { title: "60 MB, stdio 'pipe'", rssMiB: 60, stdio: 'pipe', count: 300 },
    { title: "2 GB, stdio 'ignore'", rssMiB: 2048, stdio: 'ignore', count: 10 },
    { title: "2 GB, stdio 'pipe'", rssMiB: 2048, stdio: 'pipe', count: 10 },
  ]) {
    if (smoke && options.rssMiB > 60) continue;
    const sides = fixturePair('spawn_block.cjs', { ...options, count: smoke ? 30 : options.count });
    yield { title, rows: await alternate({ rounds: smoke ? 1 : 3, sides, metrics }) };
  }
}
