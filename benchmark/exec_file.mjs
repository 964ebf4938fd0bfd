import { alternate } from './lib/pair.mjs';
import { fixturePair } from './lib/fixture.mjs';

export const question = 'how many times a second can execFile() run a program and collect what it prints?';

const metrics = /** @type {const} */ ({ children: { unit: 'per s', better: 'higher' } });

export async function* cases({ smoke }) {
  const seconds = smoke ? 0.5 : 2;
  for (const { title, ...options } of [
    { title: 'one at a time, 6 bytes', call: 'execFile', file: '/bin/echo', args: ['hello'], concurrency: 1 },
    {
      title: 'eight at a time, 6 bytes',
      call: 'execFile',
      file: '/bin/echo',
      args: ['hello'],
      concurrency: 8,
    },
    {
      title: 'one at a time, 1 MB',
      call: 'execFile',
      file: '/usr/bin/head',
      args: ['-c', '1000000', '/dev/zero'],
      concurrency: 1,
    },
  ]) {
    const sides = fixturePair('rate.cjs', { ...options, seconds });
    yield { title, rows: await alternate({ rounds: smoke ? 1 : 5, sides, metrics }) };
  }
}
