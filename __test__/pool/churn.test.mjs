import { expect, test } from 'vitest';

import { expectNoLeaks } from '../helpers/leaks.mjs';
import { both, file, tasks } from './both.mjs';

// RCLUSTER_TEST_ROUNDS=500 makes thousands of pools of it.
const ROUNDS = Number(process.env.RCLUSTER_TEST_ROUNDS ?? 6);

const [, [, Pool]] = both;

/** Ways in which a pool may end, with and without tasks under way. */
const ends = [
  (pool) => pool.destroy(),
  async (pool) => {
    expect(await pool.run(1)).toBe(1);
    await pool.destroy();
  },
  async (pool) => {
    const runs = [1, 2, 3].map((value) => pool.run(value));
    await pool.close();
    expect(await Promise.all(runs)).toEqual([1, 2, 3]);
  },
  async (pool) => {
    const runs = Array.from({ length: 8 }, () => pool.run(new Uint8Array(100_000)));
    await Promise.all([pool.destroy(), Promise.allSettled(runs)]);
  },
  async (pool) => {
    const run = pool.run(undefined, { name: 'never', timeout: 5 });
    await expect(run).rejects.toThrow();
    await pool.close({ force: true });
  },
];

test('pools made and destroyed, one after the other', { timeout: 1000 * (20 + ROUNDS) }, async () => {
  await new Pool({ filename: tasks }).destroy();
  await expectNoLeaks(async () => {
    for (let round = 0; round < ROUNDS; round++) {
      for (const end of ends) await end(new Pool({ filename: tasks, minThreads: 1, maxThreads: 1 }));
    }
  });
});

test('many pools at once', { timeout: 30_000 }, async () => {
  await new Pool({ filename: tasks }).destroy();
  await expectNoLeaks(async () => {
    const pools = Array.from(
      { length: 20 },
      () => new Pool({ filename: tasks, minThreads: 1, maxThreads: 1 }),
    );
    const results = await Promise.all(pools.flatMap((pool, i) => [pool.run(i), pool.run(i)]));
    expect(results).toEqual(pools.flatMap((_, i) => [i, i]));
    await Promise.all(pools.map((pool) => pool.destroy()));
  });
});

test('a pool whose thread has pools ends with them', { timeout: 30_000 }, async () => {
  await new Pool({ filename: tasks }).destroy();
  await expectNoLeaks(async () => {
    const outer = new Pool({ filename: file('nested.cjs'), minThreads: 2, maxThreads: 2 });
    expect(await Promise.all([outer.run(3), outer.run(4)])).toEqual([
      [0, 1, 2],
      [0, 1, 2, 3],
    ]);
    // Inner tasks are under way.
    const runs = [outer.run(-1), outer.run(-1)].map((run) => run.catch((error) => error.message));
    await new Promise((resolve) => setTimeout(resolve, 100));
    await outer.destroy();
    expect(await Promise.all(runs)).toEqual(['Terminating worker thread', 'Terminating worker thread']);
  });
});
