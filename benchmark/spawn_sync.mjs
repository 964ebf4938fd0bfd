import { alternate } from './lib/pair.mjs';
import { fixturePair } from './lib/fixture.mjs';

export const question = 'how many times a second can spawnSync() run a program?';

const metrics = /** @type {const} */ ({ children: { unit: 'per s', better: 'higher' } });

export async function* cases({ smoke }) {
  const seconds = smoke ? 0.5 : 2;
  for (const { title, ...options } of [
    { title: 'nothing printed', call: 'spawnSync', file: '/bin/true', args: [] },
    { title: '1 MB printed', call: 'spawnSync', file: '/usr/bin/head', args: ['-c', '1000000', '/dev/zero'] },
  ]) {
    const sides = fixturePair('rate.cjs', { ...options, concurrency: 1, seconds });
    yield { title, rows: await alternate({ rounds: smoke ? 1 : 5, sides, metrics }) };
  }
}
