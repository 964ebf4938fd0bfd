import os from 'node:os';

import { describe, expect, test } from 'vitest';

import { both, file, poolOf } from './both.mjs';

describe.each(both)('%s', (name, Pool) => {
  test('argv, env, execArgv, workerData', async () => {
    const pool = poolOf(Pool, {
      argv: ['a', 'b'],
      env: { POOL_TEST: 'yes' },
      execArgv: ['--no-warnings'],
      workerData: { data: 1 },
      trackUnmanagedFds: false,
    });
    const about = await pool.run(undefined, { name: 'about' });
    expect(about).toMatchObject({
      argv: ['a', 'b'],
      env: 'yes',
      execArgv: ['--no-warnings'],
      workerData: { data: 1 },
    });
  });

  test('useAtomics, an option of Piscina 4, is shown and does nothing', async () => {
    const pool = poolOf(Pool, { useAtomics: false });
    expect(pool.options).toMatchObject({ useAtomics: false, atomics: 'sync' });
    expect((await pool.run(undefined, { name: 'about' })).resourceLimits).toBeDefined();
  });

  test('resourceLimits reach the thread', async () => {
    const pool = poolOf(Pool, { resourceLimits: { maxOldGenerationSizeMb: 64 } });
    expect((await pool.run(undefined, { name: 'about' })).resourceLimits.maxOldGenerationSizeMb).toBe(64);
  });

  test('too much memory ends the thread, and the pool goes on', async () => {
    const pool = poolOf(Pool, {
      minThreads: 1,
      maxThreads: 1,
      resourceLimits: { maxOldGenerationSizeMb: 16 },
    });
    const error = await pool.run(undefined, { name: 'grow' }).catch((reason) => reason);
    expect(error.code).toBe('ERR_WORKER_OUT_OF_MEMORY');
    expect(await pool.run(1)).toBe(1);
  });

  test.each(['sync', 'async', 'disabled'])('atomics %s', async (atomics) => {
    const pool = poolOf(Pool, { atomics });
    expect(await Promise.all([1, 2, 3, 4, 5].map((i) => pool.run(i)))).toEqual([1, 2, 3, 4, 5]);
  });

  test('in a thread, the module says so', async () => {
    const module = name === 'piscina' ? 'piscina' : '../../../pool.js';
    const pool = poolOf(Pool, { filename: file('inside.cjs'), workerData: 'mine' });
    expect(await pool.run(module)).toEqual([true, 'mine']);
  });
});

test('niceIncrement', async () => {
  const pool = poolOf(both[1][1], { minThreads: 1, maxThreads: 1, niceIncrement: 5 });
  expect(await pool.run('require("os").getPriority(0)', { name: 'evaluate' })).toBe(os.getPriority(0) + 5);
});

test.each(['thread', 'process'])(
  'niceIncrement beyond the lowest priority is the lowest, in a %s',
  async (runtime) => {
    const pool = poolOf(both[1][1], { minThreads: 1, maxThreads: 1, niceIncrement: 100, runtime });
    expect(await pool.run('require("os").getPriority(0)', { name: 'evaluate' })).toBe(19);
  },
);
