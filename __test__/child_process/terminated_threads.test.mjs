// Worker threads that end while they hold channels and pipes: no crash, nothing left, nobody else disturbed.

import { once } from 'node:events';
import { Worker } from 'node:worker_threads';

import { expect, test } from 'vitest';

import { expectNoLeaks } from '../helpers/leaks.mjs';
import { fixture } from '../helpers/run_script.mjs';
import { ours } from '../parity/both.mjs';

const ROUNDS = Number(process.env.RCLUSTER_TEST_ROUNDS ?? 1);

/** Runs threads of this kind and ends each after a while, by `end`. */
async function runThreads(kind, end, rounds) {
  for (let round = 0; round < rounds; round++) {
    const threads = Array.from(
      { length: 2 },
      () => new Worker(fixture('holding_thread.cjs'), { workerData: { kind } }),
    );
    await Promise.all(threads.map((thread) => once(thread, 'message')));
    await new Promise((resolve) => setTimeout(resolve, (round * 13) % 50));
    await Promise.all(threads.map((thread) => end(thread)));
  }
}

const ends = {
  terminate: (thread) => thread.terminate(),
  exit: (thread) => {
    const ended = once(thread, 'exit');
    thread.postMessage('exit');
    return ended;
  },
  throw: (thread) => {
    thread.on('error', () => {});
    const ended = new Promise((resolve) => thread.on('exit', resolve));
    thread.postMessage('throw');
    return ended;
  },
};

test.each([
  ['channels', 'terminate'],
  ['channels', 'exit'],
  ['pipes', 'terminate'],
  ['pipes', 'throw'],
  ['starting', 'terminate'],
  ['sync', 'terminate'],
])(
  'threads with %s, ended by %s',
  async (kind, how) => {
    // Once for what stays.
    await runThreads(kind, ends[how], 2);
    const bystander = ours.spawn('sh', ['-c', 'read line; exit 6'], { stdio: ['pipe', 'ignore', 'inherit'] });
    await expectNoLeaks(() => runThreads(kind, ends[how], 6 * ROUNDS), { timeout: 10_000 });
    bystander.stdin.end('\n');
    expect(await once(bystander, 'close')).toEqual([6, null]);
  },
  60_000 * ROUNDS,
);
