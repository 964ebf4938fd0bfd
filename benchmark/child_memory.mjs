import { alternate } from './lib/pair.mjs';
import { fixturePair } from './lib/fixture.mjs';

export const question = 'how much memory does a living child take in its parent?';

const metrics = /** @type {const} */ ({ memory: { unit: 'KiB a child', better: 'lower' } });

export async function* cases({ smoke }) {
  const count = smoke ? 50 : 400;
  const sides = fixturePair('child_memory.cjs', { count });
  yield {
    title: `${count} children, stdio 'ignore'`,
    rows: await alternate({ rounds: smoke ? 1 : 5, sides, metrics }),
  };
}
