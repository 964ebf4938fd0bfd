// What is sent arrives: values, sizes, order, in both serialisations, towards a stock Node child.

import net from 'node:net';

import { describe, expect, test } from 'vitest';

import { ask, collect, withChild, withUncaughtCollected } from '../helpers/ipc.mjs';
import { waitFor } from '../helpers/wait.mjs';
import { both, ours } from '../parity/both.mjs';

const values = [
  'text',
  '',
  'é\u2028\n\r\0\ud83d\ude00\ud800',
  0,
  -1.5,
  NaN,
  true,
  null,
  [],
  [1, [2, [undefined, () => {}]]],
  { a: undefined, b: NaN, nested: { deep: [{}] } },
  { toJSON: () => 'from toJSON' },
  new Date(0),
  { cmd: 'NODE_' },
  { cmd: 'NODE' },
  { cmd: 5 },
  Buffer.from('bytes'),
  { buffer: Buffer.from([1, 2, 3]) },
];

describe.each(both)('json, parent is %s', (name, childProcess) => {
  test('values arrive as JSON makes them', () =>
    withChild({ childProcess }, async (child) => {
      for (const value of values) {
        expect(await ask(child, { command: 'echo', value: { value } })).toEqual(
          JSON.parse(JSON.stringify({ value })),
        );
      }
    }));
});

const structured = [
  ...values.filter((value) => typeof value?.toJSON !== 'function' || value instanceof Date).slice(0, 9),
  NaN,
  -0,
  12345678901234567890n,
  undefined,
  new Date(5),
  /re/gi,
  new Map([[{ a: 1 }, new Set([1, 'two'])]]),
  Buffer.from('bytes'),
  { deep: { deeper: [Buffer.from('bytes'), { buffer: Buffer.alloc(0) }] } },
  new Uint8Array([1, 2, 3]),
  new Float64Array([0.5, -1]),
  new DataView(new ArrayBuffer(3)),
  new ArrayBuffer(8),
  new BigInt64Array([1n, -1n]),
  new Uint16Array(new Uint8Array([9, 9, 1, 0, 2, 0]).buffer, 2),
  new RangeError('out of range'),
].filter((value) => typeof value !== 'function');

describe.each(both)('advanced, parent is %s', (name, childProcess) => {
  test('values arrive as clones of the same types', () =>
    withChild({ childProcess, serialization: 'advanced' }, async (child) => {
      const cyclic = { list: [] };
      cyclic.list.push(cyclic);
      for (const value of structured.filter((entry) => !Array.isArray(entry) || entry.length === 0)) {
        const { value: echoed } = await ask(child, { command: 'echo', value: { value } });
        expect(echoed).toStrictEqual(value);
      }
      const echoed = await ask(child, { command: 'echo', value: cyclic });
      expect(echoed.list[0]).toBe(echoed);
    }));

  test('a SharedArrayBuffer and a function are refused', () =>
    withChild({ childProcess, serialization: 'advanced' }, async (child) => {
      expect(() => child.send({ shared: new SharedArrayBuffer(8) })).toThrow(/could not be cloned/);
      expect(() => child.send({ call() {} })).toThrow(/could not be cloned/);
      expect(await ask(child, { command: 'echo', value: 'still open' })).toBe('still open');
    }));

  test('an object of native code arrives as a copy of its properties', () =>
    withChild({ childProcess, serialization: 'advanced' }, async (child) => {
      const port = new MessageChannel().port1;
      port.name = 'kept';
      const { value } = await ask(child, { command: 'echo', value: { value: port } });
      expect(Object.getPrototypeOf(value)).toBe(Object.prototype);
      expect(value.name).toBe('kept');
      port.close();
    }));

  test('a Blob and a BlockList arrive as objects without anything', () =>
    withChild({ childProcess, serialization: 'advanced' }, async (child) => {
      for (const sent of [new Blob(['text']), new net.BlockList()]) {
        const { value, after } = await ask(child, { command: 'echo', value: { value: sent, after: 5 } });
        expect([Object.getPrototypeOf(value), Object.keys(value), after]).toEqual([Object.prototype, [], 5]);
      }
    }));
});

describe.each(['json', 'advanced'])('rcluster, %s', (serialization) => {
  test('8 MB there and back, more than once', () =>
    withChild({ serialization }, async (child) => {
      const value = serialization === 'json' ? 'é'.repeat(4 << 20) : Buffer.alloc(8 << 20, 'chunk');
      for (let round = 0; round < 3; round++) {
        const echoed = await ask(child, { command: 'echo', value });
        expect(Buffer.compare(Buffer.from(echoed), Buffer.from(value))).toBe(0);
      }
    }));

  test('10,000 messages at once arrive in order, from the child and at the child', () =>
    withChild({ serialization }, async (child) => {
      const messages = collect(child, 10_000);
      child.send({ command: 'burst', count: 10_000, size: 10 });
      expect((await messages).map(({ index }) => index)).toEqual(
        Array.from({ length: 10_000 }, (_, at) => at),
      );

      for (let index = 0; index < 10_000; index++) child.send({ index });
      expect(await ask(child, { command: 'count' })).toEqual({ received: 10_000, inOrder: true });
    }));

  test('large and small messages keep their order while the child does not read', () =>
    withChild({ serialization }, async (child) => {
      child.send({ command: 'block', milliseconds: 300 });
      for (let index = 0; index < 200; index++) {
        child.send({ index, filler: 'x'.repeat(index % 10 === 0 ? 300_000 : index) });
      }
      expect(await ask(child, { command: 'count' })).toEqual({ received: 200, inOrder: true });
    }));
});

test('a line that is not JSON is an uncaught SyntaxError, and what follows is still received', async () => {
  await withChild({ childProcess: ours }, async (child) => {
    const first = collect(child, 1);
    const uncaught = await withUncaughtCollected(async (caught) => {
      child.send({ command: 'malformed' });
      await waitFor(() => caught.length > 0);
      return caught;
    });
    expect(uncaught).toEqual([expect.any(SyntaxError)]);
    expect(await first).toEqual(['before']);
    expect(await ask(child, { command: 'echo', value: 'after' })).toBe('after');
  });
});
