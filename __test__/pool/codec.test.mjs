// Values made at random come through the codec as they come through structuredClone.

import assert from 'node:assert';
import { createRequire } from 'node:module';

import { expect, test } from 'vitest';

const require = createRequire(import.meta.url);
const { decodeClone, encode, encoded } = require('../../lib/pool/codec.js');
const { fromColumns } = require('../../lib/pool/columns.js');
const { CLONE, COLUMNS, EMPTY, JSON_TEXT, PORT, TEXT } = require('../../lib/pool/protocol.js');

const RUNS = Number(process.env.RCLUSTER_TORTURE ?? 1) * 20_000;

/** Numbers from a seed, so that a failure can be seen again. */
function randomOf(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A value that structuredClone accepts. */
function valueOf(random, depth = 0, earlier = []) {
  const pick = (choices) => choices[Math.floor(random() * choices.length)];
  const inner = () => valueOf(random, depth + 1, earlier);
  const some = (make) => Array.from({ length: Math.floor(random() * 5) }, make);
  const key = () => pick(['a', 'b', '1', '0', 'length', '__proto__', 'é', 'toJSON', 'constructor', 'x y']);
  const keep = (object) => (earlier.push(object), object);
  const leaf = [
    () => undefined,
    () => null,
    () => random() < 0.5,
    () => Math.floor(random() * 100) - 50,
    () => random() * 10 ** Math.floor(random() * 600 - 300),
    () => pick([-0, Number.NaN, Infinity, Number.MAX_VALUE, 2 ** 53]),
    () => BigInt(Math.floor(random() * 1e15)) ** 3n,
    () => some(() => String.fromCharCode(Math.floor(random() * 70_000))).join(''),
    () => pick(['\ud800', '"\\\n', 'a'.repeat(300), 'é'.repeat(300), '€'.repeat(300), '']),
    () => keep(new Date(pick([0, 1e12]))),
    () => keep(/x/giu),
    () => keep(new Uint8Array(some(() => random() * 256))),
    () => keep(Buffer.from('pooled')),
    () => keep(Object(1)),
    () => keep(new (pick([Error, TypeError, RangeError]))('message')),
  ];
  const branch = [
    () => keep(some(inner)),
    () => keep(Object.fromEntries(some(() => [key(), inner()]))),
    () => keep(Object.fromEntries(some(() => [key(), random()]))),
    () => keep(Object.assign(Object.create(null), { a: inner() })),
    () => keep(new Map(some(() => [inner(), inner()]))),
    () => keep(new Set(some(inner))),
    () => keep(Object.assign([inner()], { extra: inner() })),
    () => keep(Object.assign(new Array(3), { 1: inner() })),
    () => keep(Object.assign(Object.create({ inherited: 1 }), { own: inner() })),
    () => (earlier.length > 0 ? pick(earlier) : 1),
    () => keep(table(random, pick)),
  ];
  return pick(depth > 4 || (depth > 0 && random() < 0.4) ? leaf : branch.concat(leaf.slice(0, 9)))();
}

/** Rows of one shape, but for one now and then. */
function table(random, pick) {
  const names = pick([['a'], ['a', 'b'], ['b', '1', 'a'], ['constructor', 'toJSON']]);
  const odd = pick([() => 1, () => -0, () => undefined, () => ({}), () => 'x']);
  const cell = (i) => (random() < 0.002 ? odd() : pick([i, `r${i}`, null, true, 0.1 * i]));
  const rows = Array.from({ length: 30 + Math.floor(random() * 10) }, (_, i) =>
    Object.fromEntries(names.map((name) => [name, cell(i)])),
  );
  if (random() < 0.05) rows.push(rows[0]);
  if (random() < 0.05) delete rows[5][names[0]];
  if (random() < 0.05) rows[3] = Object.fromEntries(Object.entries(rows[3]).toReversed());
  if (random() < 0.05) Object.assign(rows, { extra: 1 });
  return rows;
}

function through(value) {
  const kind = encode(value);
  const { payload } = encoded;
  if (kind === EMPTY) return [kind, undefined];
  if (kind === JSON_TEXT) return [kind, JSON.parse(payload)];
  if (kind === TEXT) return [kind, payload];
  if (kind === COLUMNS) return [kind, fromColumns(payload)];
  if (kind === CLONE) return [kind, decodeClone(payload)];
  return [kind, structuredClone(value)];
}

/** Which parts are the same object, as a list of places. */
function identities(value, seen = new Map(), list = []) {
  if (typeof value !== 'object' || value === null) return list;
  if (seen.has(value)) {
    list.push(seen.get(value));
    return list;
  }
  seen.set(value, seen.size);
  list.push('new');
  if (value instanceof Map) for (const entry of value) entry.forEach((one) => identities(one, seen, list));
  else if (value instanceof Set) for (const one of value) identities(one, seen, list);
  else if (!ArrayBuffer.isView(value))
    for (const key of Object.keys(value)) identities(value[key], seen, list);
  return list;
}

test('a value comes through as structuredClone makes it', { timeout: 120_000 }, () => {
  const counts = {};
  for (let seed = 1; seed <= RUNS; seed++) {
    const value = valueOf(randomOf(seed));
    let clone;
    try {
      clone = structuredClone(value);
    } catch {
      continue;
    }
    const [kind, result] = through(value);
    counts[kind] = (counts[kind] ?? 0) + 1;
    // Not vitest's: it takes Maps apart in quadratic time, and finds some unequal to themselves.
    assert.deepStrictEqual(result, clone, `seed ${seed}`);
    expect(identities(result), `seed ${seed}`).toEqual(identities(clone));
    expect(Object.is(result, clone) || typeof clone !== 'number', `seed ${seed}`).toBe(true);
  }
  // All ways are taken.
  for (const kind of [EMPTY, JSON_TEXT, TEXT, CLONE, PORT, COLUMNS]) expect(counts[kind]).toBeGreaterThan(0);
});

test('plain values go as JSON, whatever their size', () => {
  for (const value of [
    1,
    'a',
    null,
    { i: 1 },
    [1, [2], { a: 'b' }],
    Array.from({ length: 2000 }, (_, i) => [i]),
  ]) {
    expect(encode(value)).toBe(JSON_TEXT);
  }
});

test('shared parts of shared parts take no exponential time', () => {
  let value = [1];
  for (let i = 0; i < 60; i++) value = [value, value];
  expect(encode(value)).toBe(PORT);
});
