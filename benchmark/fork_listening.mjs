import { forkSides } from './lib/fork_sides.mjs';
import { alternate } from './lib/pair.mjs';

export const question = 'how long does a worker take from fork() until it listens?';

const metrics = /** @type {const} */ ({ listening: { unit: 'ms', better: 'lower' } });

export async function* cases({ smoke }) {
  for (const atOnce of [1, 2, 4]) {
    const sides = forkSides('fork_listening.cjs', 'cluster', { atOnce, forks: smoke ? atOnce : 8 });
    yield {
      title: atOnce === 1 ? 'one worker at a time' : `${atOnce} at once`,
      rows: await alternate({ rounds: smoke ? 1 : 7, sides, metrics }),
    };
  }
}
