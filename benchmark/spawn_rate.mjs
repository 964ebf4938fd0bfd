import { alternate } from './lib/pair.mjs';
import { fixturePair, spawnLimit } from './lib/fixture.mjs';

export const question = 'how many children can one process start and see end in a second?';

const metrics = /** @type {const} */ ({ children: { unit: 'per s', better: 'higher' } });

export async function* cases({ smoke }) {
  const seconds = smoke ? 0.5 : 2;
  for (const { title, ...options } of [
    { title: "one at a time, stdio 'ignore'", call: 'spawn', stdio: 'ignore', concurrency: 1 },
    { title: "eight at a time, stdio 'ignore'", call: 'spawn', stdio: 'ignore', concurrency: 8 },
    { title: "eight at a time, stdio 'pipe'", call: 'spawn', stdio: 'pipe', concurrency: 8 },
    {
      title: "eight at a time, stdio 'ignore', 2 GB",
      call: 'spawn',
      stdio: 'ignore',
      concurrency: 8,
      rssMiB: 2048,
    },
  ]) {
    if (smoke && options.rssMiB) continue;
    const limit = options.stdio === 'ignore' && !smoke ? spawnLimit(options.concurrency, seconds) : {};
    const sides = { ...fixturePair('rate.cjs', { ...options, seconds }), ...limit };
    yield { title, rows: await alternate({ rounds: smoke ? 1 : options.rssMiB ? 3 : 5, sides, metrics }) };
  }
}
