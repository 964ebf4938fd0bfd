import { forkSides } from './lib/fork_sides.mjs';
import { alternate } from './lib/pair.mjs';

export const question = 'how long does a forked child take until its first message has come?';

const metrics = /** @type {const} */ ({ message: { unit: 'ms', better: 'lower' } });

export async function* cases({ smoke }) {
  const sides = forkSides('fork_message.cjs', 'child_process', { forks: smoke ? 1 : 8 });
  yield { title: 'one child at a time', rows: await alternate({ rounds: smoke ? 1 : 7, sides, metrics }) };
}
