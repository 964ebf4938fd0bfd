import { alternate } from './lib/pair.mjs';
import { fixturePair } from './lib/fixture.mjs';

export const question = 'how many children can one process start and see end in a second?';

const metrics = /** @type {const} */ ({ children: { unit: 'per s', better: 'higher' } });

export async function* cases({ smoke }) {
  const seconds = smoke ? 0.5 : 2;
  for (const { title, ...options } of [
    { title: "one at a time, stdio 'ignore'", call: 'spawn', stdio: 'ignore', concurrency: 1 },
    { title: "eight at a time, stdio 'ignore'", call: 'spawn', stdio: 'ignore', concurrency: 8 },
    { title: "eight at a time, stdio 'pipe'", call: 'spawn', stdio: 'pipe', concurrency: 8 },
  ]) {
    const sides = fixturePair('rate.cjs', { ...options, seconds });
    yield { title, rows: await alternate({ rounds: smoke ? 1 : 5, sides, metrics }) };
  }
}
