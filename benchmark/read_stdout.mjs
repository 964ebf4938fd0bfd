import { alternate } from './lib/pair.mjs';
import { fixturePair } from './lib/fixture.mjs';

export const question = "how fast does a child's output come?";

const metrics = /** @type {const} */ ({ throughput: { unit: 'MB/s', better: 'higher' } });

export async function* cases({ smoke }) {
  const bytes = smoke ? 2 ** 26 : 2 ** 30;
  const sides = fixturePair('read_stdout.cjs', { bytes });
  const title = `${bytes / 2 ** 20} MiB on stdout`;
  yield { title, rows: await alternate({ rounds: smoke ? 1 : 7, sides, metrics }) };
}
