import { describe, expect, test } from 'vitest';

import { both, file, poolOf } from './both.mjs';

describe.each(both)('%s', (name, Pool) => {
  test('transferList empties the buffer', async () => {
    const bytes = new Uint8Array(1000).fill(9);
    const result = poolOf(Pool).run(bytes, { transferList: [bytes.buffer] });
    await result;
    expect(bytes.byteLength).toBe(0);
    expect(await result).toEqual(new Uint8Array(1000).fill(9));
  });

  test('move() transfers a task and its views', async () => {
    const bytes = new Float64Array(100_000).fill(1.5);
    const buffer = new ArrayBuffer(64);
    const pool = poolOf(Pool);
    expect((await pool.run(Pool.move(bytes))).length).toBe(100_000);
    expect(bytes.length).toBe(0);
    expect((await pool.run(Pool.move(buffer))).byteLength).toBe(64);
    expect(buffer.byteLength).toBe(0);
  });

  test('move() of what is no object is that', () => {
    for (const value of [1, 'a', null, undefined, true]) expect(Pool.move(value)).toBe(value);
  });

  test('an object says itself what of it is transferred', async () => {
    const buffer = new ArrayBuffer(8);
    const value = { [Pool.transferableSymbol]: buffer, [Pool.valueSymbol]: { buffer, text: 'along' } };
    const result = await poolOf(Pool).run(Pool.move(value));
    expect(result.text).toBe('along');
    expect(buffer.byteLength).toBe(0);
  });

  test('a result that is moved', async () => {
    const pool = poolOf(Pool, { filename: file('moving.cjs') });
    const { before, after } = await pool
      .run(Pool === both[0][1] ? 'piscina' : '../../../pool.js')
      .then(async (bytes) => ({
        before: bytes.length,
        after: await pool.run(undefined, { name: 'lengthAfter' }),
      }));
    expect(before).toBe(50_000);
    expect(after).toBe(0);
  });

  test('a wrong transferList', async () => {
    const error = await poolOf(Pool)
      .run({}, { transferList: [{}] })
      .catch((reason) => reason);
    expect(error.message).toMatch(/transferList|transfer list/i);
  });

  test('many at once, in their order', async () => {
    const pool = poolOf(Pool, { minThreads: 1, maxThreads: 1 });
    const order = [];
    await Promise.all(
      Array.from({ length: 40 }, async (_, i) => {
        const value = new Uint8Array(40_000).fill(i);
        const options = i % 3 === 0 ? { transferList: [value.buffer] } : {};
        const result = await pool.run(i % 3 === 1 ? i : value, options);
        order.push(i);
        expect(i % 3 === 1 ? result : result[39_999]).toBe(i);
      }),
    );
    // Piscina takes turns between those that wait.
    if (name === 'rcluster') expect(order).toEqual(order.toSorted((a, b) => a - b));
  });
});
