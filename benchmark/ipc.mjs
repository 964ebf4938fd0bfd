import { alternate } from './lib/pair.mjs';
import { fixturePair } from './lib/fixture.mjs';

export const question = 'how fast do messages go between a parent and its fork?';

const metrics = /** @type {const} */ ({
  'round trip p50': { unit: 'us', better: 'lower' },
  'round trips': { unit: 'per s', better: 'higher' },
  'one way': { unit: 'messages per s', better: 'higher' },
});

export async function* cases({ smoke }) {
  const seconds = smoke ? 0.3 : 2;
  for (const bytes of [100, 10_000]) {
    const sides = fixturePair('ipc_parent.cjs', { bytes, seconds, serialization: 'json' });
    yield { title: `json, ${bytes} bytes`, rows: await alternate({ rounds: smoke ? 1 : 5, sides, metrics }) };
  }
}
