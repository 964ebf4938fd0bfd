import { describe, expect, test } from 'vitest';

import { both, poolOf } from './both.mjs';

describe.each(both)('%s', (_name, Pool) => {
  test('completed, duration', async () => {
    const pool = poolOf(Pool);
    await Promise.all([pool.run(1), pool.run(2), settled(pool.run('no', { name: 'fail' }))]);
    expect(pool.completed).toBe(3);
    const { duration } = pool;
    expect(duration).toBeGreaterThan(0);
    await new Promise((resolve) => setTimeout(resolve, 5));
    expect(pool.duration).toBeGreaterThan(duration);
  });

  test('histograms', async () => {
    const pool = poolOf(Pool, { minThreads: 1, maxThreads: 1 });
    await pool.run(1);
    pool.histogram.resetRunTime();
    pool.histogram.resetWaitTime();
    await Promise.all([pool.run(40, { name: 'sleep' }), pool.run(40, { name: 'sleep' })]);
    const { runTime, waitTime } = pool.histogram;
    expect(runTime.average).toBeGreaterThan(30);
    expect(runTime.max).toBeLessThan(2000);
    expect(waitTime.max).toBeGreaterThan(30);
    expect(Object.keys(runTime)).toEqual(Object.keys(poolOf(both[0][1]).histogram.runTime));
  });

  test('utilization', async () => {
    const pool = poolOf(Pool);
    expect(pool.utilization).toBe(0);
    await pool.run(50, { name: 'block' });
    expect(pool.utilization).toBeGreaterThan(0);
    expect(pool.utilization).toBeLessThan(1);
  });

  test('without recordTiming there are none', async () => {
    const pool = poolOf(Pool, { recordTiming: false });
    await pool.run(1);
    expect(pool.histogram.runTime).toBe(undefined);
    expect(pool.histogram.waitTime).toBe(undefined);
    expect(pool.utilization).toBe(0);
  });
});

const settled = (promise) => promise.catch(() => {});
