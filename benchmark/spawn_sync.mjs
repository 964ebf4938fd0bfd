import { alternate } from './lib/pair.mjs';
import { fixturePair, spawnLimit } from './lib/fixture.mjs';

export const question = 'how many times a second can spawnSync() run a program?';

const metrics = /** @type {const} */ ({ children: { unit: 'per s', better: 'higher' } });

export async function* cases({ smoke }) {
  const seconds = smoke ? 0.5 : 2;
  for (const { title, ...options } of [
    { title: "nothing printed, stdio 'ignore'", call: 'spawnSync', stdio: 'ignore' },
    { title: 'nothing printed', call: 'spawnSync', file: '/bin/true', args: [] },
    { title: "nothing printed, stdio 'ignore', 2 GB", call: 'spawnSync', stdio: 'ignore', rssMiB: 2048 },
    { title: '1 MB printed', call: 'spawnSync', file: '/usr/bin/head', args: ['-c', '1000000', '/dev/zero'] },
  ]) {
    if (smoke && options.rssMiB) continue;
    const limit = options.stdio === 'ignore' && !smoke ? spawnLimit(1, seconds) : {};
    const sides = { ...fixturePair('rate.cjs', { ...options, concurrency: 1, seconds }), ...limit };
    yield { title, rows: await alternate({ rounds: smoke ? 1 : options.rssMiB ? 3 : 5, sides, metrics }) };
  }
}
