import { describe, expect, test } from 'vitest';

import { both, poolOf } from './both.mjs';

const wrong = {
  filename: [12, {}, true],
  name: [12, {}, true],
  minThreads: ['', -1, null, true],
  maxThreads: ['', 0, -1, null, true],
  idleTimeout: ['', -1, null],
  maxQueue: ['', -1, null, 'all'],
  concurrentTasksPerWorker: ['', 0, null, true],
  atomics: ['yes', 1, true],
  resourceLimits: [0, null, true],
  taskQueue: [0, null, {}, { size: 0, shift() {}, remove() {} }],
  niceIncrement: [-1, 'string', null],
  trackUnmanagedFds: [-1, 'string', null],
  closeTimeout: [-1, '', null],
  loadBalancer: [1, null, () => {}],
  workerHistogram: [1, null],
  stricterFIFO: [1, null],
};
const cases = Object.entries(wrong).flatMap(([name, values]) => values.map((value) => [name, value]));

const messageOf = (Pool, options) => {
  try {
    Pool.made = new Pool(options);
  } catch (error) {
    return [error.constructor, error.message];
  }
  return undefined;
};

describe.each(both)('%s', (_name, Pool) => {
  test.each(cases)('%s: %j is refused, in the same words', (name, value) => {
    const refusal = messageOf(Pool, { [name]: value });
    expect(refusal).toBeDefined();
    expect(refusal).toEqual(messageOf(both[0][1], { [name]: value }));
  });

  test('minThreads above maxThreads', () => {
    expect(() => new Pool({ minThreads: 8, maxThreads: 4 })).toThrow(
      new RangeError('options.minThreads and options.maxThreads must not conflict'),
    );
  });

  test('options that are filled in', () => {
    const names = ['name', 'minThreads', 'maxThreads', 'idleTimeout', 'maxQueue', 'concurrentTasksPerWorker'];
    names.push('atomics', 'niceIncrement', 'trackUnmanagedFds', 'closeTimeout', 'recordTiming');
    const pick = ({ options }) => Object.fromEntries(names.map((name) => [name, options[name]]));
    for (const options of [
      { minThreads: 1 },
      { minThreads: 1, maxThreads: 3, maxQueue: 'auto' },
      { maxThreads: 1 },
    ]) {
      expect(pick(poolOf(Pool, options))).toEqual(pick(poolOf(both[0][1], options)));
    }
    expect(poolOf(Pool, { minThreads: 1, maxThreads: 3, maxQueue: 'auto' }).options.maxQueue).toBe(9);
  });

  test.each([
    ['options', 1],
    ['options', null],
    ['transferList', { transferList: 1 }],
    ['filename', { filename: 1 }],
    ['name', { name: 1 }],
    ['signal', { signal: 1 }],
  ])('wrong options of a task: %s', async (_what, options) => {
    const pool = poolOf(Pool);
    const expected = await poolOf(both[0][1])
      .run(1, options)
      .catch((error) => error.message);
    await expect(pool.run(1, options)).rejects.toThrow(new TypeError(expected));
  });

  test('a task without a file', async () => {
    const pool = poolOf(Pool, { filename: undefined });
    await expect(pool.run(1)).rejects.toThrow('filename must be provided to run() or in options object');
  });

  test('a polluted prototype sets no option', async () => {
    Object.prototype.maxQueue = 'no';
    Object.prototype.filename = 12;
    try {
      expect(await poolOf(Pool).run(1)).toBe(1);
    } finally {
      delete Object.prototype.maxQueue;
      delete Object.prototype.filename;
    }
  });
});
