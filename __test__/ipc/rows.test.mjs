// Messages with the same keys go through a ring as their values alone. What arrives is what JSON, or a structured
// clone, would have made of them, and a sender sees no difference.

import { once } from 'node:events';
import { createRequire } from 'node:module';
import { describe, expect, test } from 'vitest';

import { ours } from '../parity/both.mjs';
import { fixture } from '../helpers/run_script.mjs';
import { waitFor } from '../helpers/wait.mjs';

const require = createRequire(import.meta.url);
const { MOST, RowWriter, asElement } = require('../../lib/child_process/row_writer.js');
const { RowReader } = require('../../lib/child_process/row_reader.js');

/** More than it takes until messages of the same keys go as rows. */
const MANY = 400;

/** A small generator of numbers: the same ones each time. */
function generator(seed) {
  let state = seed * 2_654_435_761 + 1;
  return (below) => {
    state = Math.imul(state ^ (state >>> 15), 2_246_822_519) ^ (state << 7);
    return (state >>> 0) % below;
  };
}

const values = [
  (random) => random(100) - 50,
  (random) => [2 ** 31 - 1, -(2 ** 31), 2 ** 31, 1e21, 5e-324, 0.1, -0.5, 2 ** 53][random(8)],
  (random) => [true, false, null][random(3)],
  (random) => 'x'.repeat(random(200)),
  (random) =>
    ['"', '\\', '\n', '\u2028', '\ud800', 'é', '\u007f', '日本', '\0', ''][random(10)].repeat(random(9)),
  (random) => 'y'.repeat(random(5) === 0 ? 5000 : 3),
];
const odd = [
  () => undefined,
  () => Number.NaN,
  () => -0,
  () => ({ nested: [1, { deep: null }] }),
  () => [1, 'two'],
  () => () => {},
  () => Infinity,
];
const keys = ['type', 'id', 'a"b', '7', 'é', 'a\nb', '', 'toString', 'constructor'];

/** Messages of a few shapes by turns, now and then with something that is not for rows. */
function* messages(random) {
  const shapes = Array.from({ length: 1 + random(4) }, () =>
    keys.filter(() => random(3) === 0).map((key) => [key, values[random(values.length)]]),
  );
  for (let count = 0; count < MANY * 3; count++) {
    const shape = shapes[random(8) === 0 ? random(shapes.length) : count % shapes.length];
    const message = Object.fromEntries(shape.map(([key, make]) => [key, make(random)]));
    if (random(50) === 0) message[keys[random(keys.length)]] = odd[random(odd.length)]();
    yield random(40) === 0 ? [5, 'text', null, [1], [[]], {}][random(6)] : message;
  }
}

/** What is written of messages, in pieces as they might be read. */
function write(sent, isExact, random, pieces) {
  const writer = new RowWriter();
  const bytes = /** @type {any} */ (Buffer.alloc(2 * MOST));
  let rows = 0;
  let piece = '';
  for (const message of sent) {
    const shape = writer.shapeFor(message);
    if (shape?.number === -1) piece += `${writer.define(shape)}\n`;
    const end = shape === undefined ? -1 : writer.write(shape, message, bytes, 0, isExact);
    if (end === -1) piece += `${asElement(JSON.stringify(writer.takeInstead(message)))},\n`;
    else {
      rows++;
      expect(end).toBeLessThanOrEqual(MOST);
      piece += `${bytes.utf8Slice(0, end)}\n`;
    }
    if (random(30) === 0) {
      pieces.push(`[${piece}0]`);
      piece = '';
    }
  }
  pieces.push(`[${piece}0]`);
  return rows;
}

test('what is written as rows and JSON is read as JSON', () => {
  let rows = 0;
  for (let seed = 0; seed < 20; seed++) {
    const random = generator(seed);
    const sent = [...messages(random)];
    const pieces = [];
    rows += write(sent, false, random, pieces);
    const received = [];
    const reader = new RowReader();
    for (const piece of pieces) reader.read(piece, (message) => received.push(message));
    // As text, which tells of the order of keys too.
    expect(received.map((message) => JSON.stringify(message))).toEqual(
      sent.map((message) => JSON.stringify(message)),
    );
    for (const message of received) {
      if (message !== null && typeof message === 'object' && !Array.isArray(message))
        expect(Object.getPrototypeOf(message)).toBe(Object.prototype);
    }
  }
  expect(rows).toBeGreaterThan(5_000);
});

test('what JSON changes is no row where it must arrive as it is', () => {
  const writer = new RowWriter();
  const bytes = Buffer.alloc(2 * MOST);
  const plain = { id: 1 };
  while (writer.shapeFor(plain) === undefined);
  const shape = writer.shapeFor(plain);
  writer.define(shape);
  expect(writer.write(shape, { id: 0 }, bytes, 0, true)).toBe(4);
  for (const id of [-0, Number.NaN, Infinity, undefined, [1], new Date(0)]) {
    const message = { id };
    expect(writer.write(shape, message, bytes, 0, true)).toBe(-1);
    expect(writer.takeInstead(message)).toEqual(message);
  }
  expect(writer.shapeFor(plain)).toBe(shape);
});

test.each([
  ['a row of unknown keys', '[7,1,\n0]'],
  ['a row without all of its values', '["[\\"a\\",\\"b\\"]",\n0,1,\n0]'],
  ['keys that are none', '["{}",\n0]'],
  ['no keys', '["[]",\n0]'],
  ['a key that is none', '["[1]",\n0]'],
  ['a key that would set the prototype', '["[\\"__proto__\\"]",\n0]'],
  ['too many keys', `["${JSON.stringify(Array(33).fill('a')).replaceAll('"', '\\"')}",\n0]`],
  ['two values at once', '[[1,2],\n0]'],
  ['null', '[null,\n0]'],
  ['no JSON', '[{"a":},\n0]'],
])('%s is an error', (name, list) => {
  const received = [];
  expect(() =>
    new RowReader().read(list.replace('[', '[{"before":true},\n'), (message) => received.push(message)),
  ).toThrow();
  expect(received).toEqual([{ before: true }]);
});

describe.each(['json', 'advanced'])('%s', (serialization) => {
  async function mirror() {
    const child = /** @type {any} */ (
      ours.fork(fixture('ipc_echo.cjs'), {
        serialization,
        execArgv: ['--require', fixture('../../register.js')],
      })
    );
    await waitFor(() => child.channel.transport === 'ring');
    const received = [];
    child.on('message', (message) => received.push(message));
    const arrived = async (count) => {
      await waitFor(() => received.length >= count);
      return received.splice(0);
    };
    const end = async () => {
      child.disconnect();
      await once(child, 'exit');
    };
    return { child, arrived, end };
  }

  test('each property is read once, whatever becomes of the message', async () => {
    const { child, arrived, end } = await mirror();
    let reads = 0;
    const sent = [];
    for (let count = 0; count < MANY; count++) {
      child.send({
        id: count,
        get read() {
          reads++;
          return reads;
        },
        last: count % 10 === 0 ? { nested: count } : count,
      });
      sent.push({ id: count, read: count + 1, last: count % 10 === 0 ? { nested: count } : count });
    }
    expect(reads).toBe(MANY);
    expect(await arrived(MANY)).toEqual(sent);
    await end();
  });

  test('a getter may send, and messages stay whole', async () => {
    const { child, arrived, end } = await mirror();
    const sent = [];
    for (let count = 0; count < MANY; count++) {
      child.send({ id: count, text: 'outside', last: true });
      sent.push({ id: count, text: 'outside', last: true });
    }
    for (let count = 0; count < 20; count++) {
      child.send({
        id: count,
        get text() {
          child.send({ id: -count, text: 'inside, and longer', last: false });
          return 'outside';
        },
        last: true,
      });
      sent.push({ id: -count, text: 'inside, and longer', last: false });
      sent.push({ id: count, text: 'outside', last: true });
    }
    // JSON knows no negative zero.
    const plus = ({ id, ...rest }) => ({ id: id === 0 && serialization === 'json' ? 0 : id, ...rest });
    expect(await arrived(sent.length)).toEqual(sent.map(plus));
    await end();
  });

  test('more than the ring holds, while the other end does not read', async () => {
    const { child, arrived, end } = await mirror();
    child.send({ block: 300 });
    const sent = Array.from({ length: 60_000 }, (_, id) => ({
      id,
      text: `message ${id}`,
      flag: id % 2 === 0,
    }));
    for (const message of sent) child.send(message);
    const received = await arrived(sent.length);
    expect(received.findIndex((message, at) => message.id !== at || message.text !== `message ${at}`)).toBe(
      -1,
    );
    expect(received.length).toBe(sent.length);
    await end();
  });
});
