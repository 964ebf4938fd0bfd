import { once } from 'node:events';
import { readFileSync } from 'node:fs';

import { expect, test } from 'vitest';

import { call, cluster, endAll, listenAll, startWorkers, takerOf } from '../helpers/cluster.mjs';
import { expectNoLeaks } from '../helpers/leaks.mjs';
import { waitFor } from '../helpers/wait.mjs';

/** Of six workers each; 167 are a thousand workers. */
const ROUNDS = Number(process.env.RCLUSTER_TEST_ROUNDS ?? 3);

/** One life of a cluster, ended in one of several ways. */
async function live(ending, stock) {
  const workers = await startWorkers(2, { stock });
  const port = await listenAll(workers);
  await Promise.all(Array.from({ length: 10 }, () => takerOf(port)));
  const exits = workers.map((worker) => once(worker, 'exit'));
  if (ending === 'disconnect') cluster.disconnect();
  if (ending === 'kill') for (const worker of workers) worker.process.kill('SIGKILL');
  if (ending === 'exit') for (const worker of workers) void call(worker, 'exit', 0);
  await Promise.all(exits);
}

/** Mappings of memory that is shared with workers. */
function sharedPages() {
  return readFileSync('/proc/self/maps', 'latin1').split('memfd:rcluster').length;
}

test.each([false, true])(
  'workers leave nothing behind, however they end (stock: %s)',
  async (stock) => {
    await live('disconnect', stock);
    const pages = sharedPages();
    await expectNoLeaks(async () => {
      for (let round = 0; round < ROUNDS; round++) {
        for (const ending of ['disconnect', 'kill', 'exit']) await live(ending, stock);
      }
    });
    expect(cluster.workers).toEqual({});
    await waitFor(() => sharedPages() <= pages);
  },
  60_000 + ROUNDS * 1000,
);

test('a worker that cannot be started leaves nothing behind', async () => {
  await live('disconnect', false);
  await expectNoLeaks(async () => {
    const execPath = process.execPath;
    process.execPath = '/nonexistent/node';
    try {
      const worker = cluster.fork();
      worker.on('error', () => {});
      await new Promise((resolve) => worker.process.on('close', resolve));
    } finally {
      process.execPath = execPath;
    }
    await endAll();
  });
});
