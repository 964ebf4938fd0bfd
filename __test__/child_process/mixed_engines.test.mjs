// Node's own children and ours in one process: each end is reported once, to its owner.

import nodeChildProcess from 'node:child_process';
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';

import { expect, test } from 'vitest';

import { expectNoLeaks } from '../helpers/leaks.mjs';
import { childrenOf } from '../helpers/process_state.mjs';
import { childProcess } from '../helpers/rcluster.mjs';
import { waitFor } from '../helpers/wait.mjs';

const ROUNDS = Number(process.env.RCLUSTER_TEST_ROUNDS ?? 1);
const worker = new URL('../fixtures/spawning_worker.cjs', import.meta.url);

/** Spawns `count` children that exit with code `i % 7` and gives what was reported. */
async function run({ spawn }, count) {
  return Promise.all(
    Array.from({ length: count }, async (_, i) => {
      const child = spawn('sh', ['-c', `exit ${i % 7}`], { stdio: 'ignore' });
      let exits = 0;
      child.on('exit', () => exits++);
      await once(child, 'close');
      return { code: child.exitCode, wanted: i % 7, exits };
    }),
  );
}

test('hundreds of each in the main thread', async () => {
  await once(childProcess.spawn('true'), 'close');
  await once(nodeChildProcess.spawn('true'), 'close');
  await expectNoLeaks(async () => {
    const results = (
      await Promise.all([run(nodeChildProcess, 100), run(childProcess, 300), run(nodeChildProcess, 100)])
    ).flat();
    expect(results.filter(({ code, wanted, exits }) => code !== wanted || exits !== 1)).toEqual([]);
  });
}, 60_000);

test('spawnSync of either disturbs neither', async () => {
  const asynchronous = [nodeChildProcess, childProcess].map((module) => run(module, 30));
  for (let i = 0; i < 20; i++) {
    expect(childProcess.spawnSync('sh', ['-c', `exit ${i}`]).status).toBe(i);
    expect(nodeChildProcess.spawnSync('sh', ['-c', `exit ${i}`]).status).toBe(i);
  }
  const results = (await Promise.all(asynchronous)).flat();
  expect(results.filter(({ code, wanted, exits }) => code !== wanted || exits !== 1)).toEqual([]);
}, 60_000);

test(
  'worker threads that are terminated mid-flight leave no zombie and crash nothing',
  async () => {
    const before = new Set(childrenOf().map(({ pid }) => pid));
    for (let i = 0; i < 15 * ROUNDS; i++) {
      const thread = new Worker(worker, { workerData: { seed: i } });
      await once(thread, 'message');
      await new Promise((resolve) => setTimeout(resolve, (i * 7) % 40));
      await thread.terminate();
    }
    await waitFor(() => childrenOf().every(({ pid }) => before.has(pid)), {
      timeout: 10_000,
      what: 'children collected',
    });
  },
  60_000 * ROUNDS,
);
