// What goes in and comes out is what the structured clone algorithm makes of it.

import { describe, expect, test } from 'vitest';

import { both, poolOf } from './both.mjs';

class Point {
  constructor() {
    this.x = 1;
  }
  get double() {
    return this.x * 2;
  }
}

const circular = { name: 'circle' };
circular.self = circular;
const shared = { s: 1 };
const sparse = [1, , 3]; // eslint-disable-line no-sparse-arrays
const extended = Object.assign([1, 2], { extra: true });

const values = {
  undefined: undefined,
  null: null,
  true: true,
  'a number': 1.5,
  'negative zero': -0,
  NaN: Number.NaN,
  Infinity: -Infinity,
  'the least number': Number.MIN_VALUE,
  BigInt: 12n ** 30n,
  'an empty string': '',
  'Latin-1': 'é'.repeat(300),
  'more than Latin-1': '€ 😀'.repeat(100),
  'a lone surrogate': `a\ud800${'b'.repeat(300)}`,
  'a short lone surrogate': '\udc00',
  'an object with all of it': { a: undefined, b: null, c: [-0, Number.NaN], d: 1n },
  'numbers as keys': { 2: 'b', 1: 'a', z: 0 },
  '__proto__ as a key': JSON.parse('{"__proto__":{"a":1}}'),
  'no prototype': Object.assign(Object.create(null), { a: 1 }),
  Date: new Date(1e12),
  'an invalid Date': new Date(Number.NaN),
  RegExp: /a+/giu,
  Map: new Map([[{ k: 1 }, new Map([[1, undefined]])]]),
  Set: new Set([1, 'a', { b: new Date(5) }]),
  boxed: [Object('s'), Object(1), Object(true), Object(1n)],
  'a class': new Point(),
  'a circle': circular,
  'the same twice': [shared, shared, { shared }],
  sparse,
  'an extended array': extended,
  'an empty array with a length': new Array(3),
  Error: new RangeError('r'),
  'an Error with a cause': new Error('outer', { cause: new TypeError('inner') }),
  'typed arrays': [new Uint8Array([1, 2]), new Float64Array([-0, 1.5]), new BigInt64Array([1n])],
  'views of one buffer': ((b) => [new Uint8Array(b, 2, 3), new DataView(b, 1)])(new ArrayBuffer(8)),
  'a big buffer': new Uint8Array(100_000).fill(3),
  'a big ArrayBuffer': new Uint16Array(50_000).fill(3).buffer,
  'part of a big buffer': new Uint8Array(200_000).fill(3).subarray(5, 100),
  ArrayBuffer: new Uint8Array([1, 2, 3]).buffer,
  deep: Array.from({ length: 150 }).reduce((inner) => ({ inner }), 1),
  'too deep': Array.from({ length: 500 }).reduce((inner) => [inner], 1),
  long: Array.from({ length: 3000 }, (_, i) => ({ id: i, name: `n${i}`, ok: i % 2 === 0 })),
};

describe.each(both)('%s', (_name, Pool) => {
  test('values, in and out', async () => {
    const pool = poolOf(Pool);
    for (const [name, value] of Object.entries(values)) {
      const clone = structuredClone(value);
      expect(await pool.run(value), name).toStrictEqual(clone);
      expect(await pool.run({ value }), name).toStrictEqual({ value: clone });
    }
  });

  test('what a task gets is what it is sent', async () => {
    const pool = poolOf(Pool, { name: 'evaluateWith' });
    const ask = (code, value) => pool.run({ code, value });
    expect(await ask('(v) => Object.is(v, -0)', -0)).toBe(true);
    expect(await ask('(v) => "a" in v && v.a === undefined', { a: undefined })).toBe(true);
    expect(await ask('(v) => v.self === v', circular)).toBe(true);
    expect(await ask('(v) => v[0] === v[1] && v[1] === v[2].shared', values['the same twice'])).toBe(true);
    expect(await ask('(v) => [v.constructor.name, Object.keys(v)]', new Point())).toEqual(['Object', ['x']]);
    expect(await ask('(v) => 1 in v', sparse)).toBe(false);
    expect(await ask('(v) => v.extra', extended)).toBe(true);
    expect(await ask('(v) => v.constructor.name', Buffer.alloc(100_000))).toBe('Uint8Array');
    expect(await ask('(v) => v.constructor.name', Buffer.alloc(10))).toBe('Uint8Array');
  });

  test('the same object twice is one object in the result', async () => {
    const result = await poolOf(Pool).run([shared, shared]);
    expect(result[0]).toBe(result[1]);
  });

  test('a getter counts as its value', async () => {
    const value = {
      get a() {
        return 5;
      },
    };
    expect(await poolOf(Pool).run(value)).toEqual({ a: 5 });
  });

  test.each([
    ['a function', () => {}],
    ['a symbol', Symbol('s')],
    ['an object with a function', { f() {} }],
    ['an array with a symbol', [1, Symbol('s')]],
    ['a Map with a function', new Map([[1, () => {}]])],
    ['a Proxy', new Proxy({}, {})],
    ['a WeakMap', { w: new WeakMap() }],
    ['a Promise', Promise.resolve()],
    ['toJSON', { toJSON: () => 1 }],
  ])('%s cannot be sent', async (_what, value) => {
    const error = await poolOf(Pool)
      .run(value)
      .catch((reason) => reason);
    expect(error.name).toBe('DataCloneError');
    expect(error.message).toMatch(/could not be cloned/);
  });

  test('toJSON on the prototype of everything changes nothing', async () => {
    const pool = poolOf(Pool);
    Object.defineProperty(Object.prototype, 'toJSON', { value: () => 'changed', configurable: true });
    try {
      expect((await pool.run({ a: 1 })).a).toBe(1);
    } finally {
      delete Object.prototype.toJSON;
    }
  });

  test('host objects arrive as what they are', async () => {
    const pool = poolOf(Pool, { name: 'evaluateWith' });
    const { port1, port2 } = new MessageChannel();
    const run = pool.run(
      { code: '({ port, text }) => port.postMessage(text)', value: { port: port2, text: 'hello' } },
      {
        transferList: [port2],
      },
    );
    const message = await new Promise((resolve) =>
      port1.addEventListener('message', resolve, { once: true }),
    );
    expect(message.data).toBe('hello');
    await run;
    port1.close();
    const blob = await pool.run({ code: '(blob) => blob.text()', value: new Blob(['inside']) });
    expect(blob).toBe('inside');
  });

  test('shared memory is shared', async () => {
    const memory = new Int32Array(new SharedArrayBuffer(4));
    await poolOf(Pool, { name: 'evaluateWith' }).run({ code: '(m) => { m[0] = 42; }', value: memory });
    expect(memory[0]).toBe(42);
  });
});
