import { describe, expect, test } from 'vitest';

import { both, file, poolOf, settle } from './both.mjs';

// Big enough to go as bytes, from memory to memory.
const SIZE = 100_000;

const types = [
  ArrayBuffer,
  Buffer,
  Int8Array,
  Uint8Array,
  Uint8ClampedArray,
  Int16Array,
  Uint16Array,
  Int32Array,
  Uint32Array,
  Float32Array,
  Float64Array,
  BigInt64Array,
  BigUint64Array,
  DataView,
];

/** Of one of the types, with bytes that tell it from others. */
function valueOf(Type, seed) {
  const bytes = new Uint8Array(SIZE).map((_, index) => index * 7 + seed);
  if (Type === ArrayBuffer) return bytes.buffer;
  return Type === Buffer ? Buffer.from(bytes.buffer) : new Type(bytes.buffer);
}

describe.each(both)('%s', (name, Pool) => {
  test.each(types)('%o is what structured clone makes of it, by itself and in a crowd', async (Type) => {
    const pool = poolOf(Pool, { minThreads: 2, maxThreads: 2 });
    const values = Array.from({ length: 12 }, (_, seed) => valueOf(Type, seed));
    const results = await Promise.all(values.map((value) => pool.run(value)));
    for (const [index, result] of results.entries()) {
      const expected = structuredClone(values[index]);
      expect(Object.getPrototypeOf(result)).toBe(Object.getPrototypeOf(expected));
      expect(Buffer.compare(bytesOf(result), bytesOf(expected))).toBe(0);
    }
    expect(values[0].byteLength).toBe(SIZE);
  });

  test('a part of a buffer brings the buffer along', async () => {
    const whole = new Uint8Array(SIZE).fill(3);
    const result = await poolOf(Pool).run(whole.subarray(10, 50_010));
    expect([result.length, result.byteOffset, result.buffer.byteLength]).toEqual([50_000, 10, SIZE]);
  });

  test('what a task and its result get can be transferred on', async () => {
    const pool = poolOf(Pool, { filename: file('transferring.cjs') });
    const values = Array.from({ length: 6 }, () => new Uint8Array(SIZE).fill(5));
    const results = await Promise.all(values.map((value) => pool.run(value)));
    for (const { before, after, copy } of results) {
      expect([before, after, copy.byteLength]).toEqual([SIZE, 0, SIZE]);
      expect(structuredClone(copy, { transfer: [copy.buffer] }).length).toBe(SIZE);
      expect(copy.length).toBe(0);
    }
  });

  test('a task that a thread begins at once has the bytes of that moment', async () => {
    const pool = poolOf(Pool, { minThreads: 1, maxThreads: 1 });
    await pool.run(1);
    const bytes = new Uint8Array(SIZE).fill(1);
    const result = pool.run(bytes);
    bytes.fill(2);
    expect((await result)[SIZE - 1]).toBe(1);
  });
});

const [, [, Pool]] = both;

test('results of changing sizes', async () => {
  const pool = poolOf(Pool, { minThreads: 2, maxThreads: 2 });
  const sizes = Array.from({ length: 60 }, (_, index) => 40_000 + (index % 7) * 10_000);
  const results = await Promise.all(sizes.map((size) => pool.run(new Uint8Array(size).fill(size / 10_000))));
  expect(results.map(({ length }) => length)).toEqual(sizes);
  for (const result of results)
    expect(result.every((byte) => byte === Math.floor(result.length / 10_000))).toBe(true);
});

test('a value that changes its size while it waits is what it has become', async () => {
  const pool = poolOf(Pool, { minThreads: 1, maxThreads: 1 });
  const first = pool.run(new Uint8Array(SIZE));
  const bytes = new Uint8Array(SIZE).fill(4);
  const gone = settle(pool.run(bytes));
  structuredClone(bytes, { transfer: [bytes.buffer] });
  await first;
  expect((await gone).error).toMatchObject({ name: 'DataCloneError' });
  expect((await pool.run(new Uint8Array(SIZE).fill(6)))[0]).toBe(6);
});

test('aborting some of many leaves the others whole', async () => {
  const pool = poolOf(Pool, { minThreads: 2, maxThreads: 2 });
  const runs = Array.from({ length: 60 }, (_, index) => {
    const controller = new AbortController();
    const run = pool.run(new Uint8Array(SIZE).fill(index), { signal: controller.signal });
    if (index % 3 === 0) setTimeout(() => controller.abort(), index % 11);
    return run.then(
      (result) => expect(result.every((byte) => byte === index)).toBe(true),
      (error) => expect(error.name).toBe('AbortError'),
    );
  });
  await Promise.all(runs);
});

function bytesOf(value) {
  return new Uint8Array(value.buffer ?? value, value.byteOffset ?? 0, value.byteLength);
}

// A task may change hands after its thread has asked for its bytes.
test('again and again, many small pauses and sizes', { timeout: 60_000 }, async () => {
  const rounds = 20 * Number(process.env.RCLUSTER_TEST_ROUNDS ?? 1);
  const pool = poolOf(Pool, { minThreads: 3, maxThreads: 3 });
  for (let round = 0; round < rounds; round++) {
    const runs = Array.from({ length: 30 }, async (_, index) => {
      const size = 33_000 + ((index * round) % 5) * 1000;
      const result = await pool.run(new Uint8Array(size).fill(index));
      expect([result?.length, result?.[0], result?.[size - 1]]).toEqual([size, index, index]);
    });
    await Promise.all(runs);
  }
});

test('what cannot be cloned is refused, in its turn or before', async () => {
  const pool = poolOf(Pool, { minThreads: 1, maxThreads: 1 });
  const runs = Array.from({ length: 5 }, () => settle(pool.run({ call() {} })));
  for (const { error } of await Promise.all(runs)) expect(error).toMatchObject({ name: 'DataCloneError' });
  expect(await pool.run(1)).toBe(1);
});
