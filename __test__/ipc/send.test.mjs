// What `send` returns, calls back, throws and emits, compared with Node's own parent.

import { once } from 'node:events';
import { describe, expect, test } from 'vitest';

import { ask, collect, withChild, withUncaughtCollected } from '../helpers/ipc.mjs';
import { waitFor } from '../helpers/wait.mjs';
import { both, outcomeOf, shapeOf } from '../parity/both.mjs';

const wrong = [
  [],
  [undefined],
  [() => {}],
  [Symbol('symbol')],
  [10n],
  ['text', {}],
  ['text', 'no handle'],
  ['text', 5],
  ['text', undefined, 5],
  ['text', undefined, null],
  ['text', undefined, 'no options'],
  ['text', undefined, []],
  [{ nested: 10n }],
];

describe.each(both)('%s', (name, childProcess) => {
  test('wrong arguments throw, and leave the channel open', async () => {
    const outcomes = [];
    await withChild({ childProcess }, async (child) => {
      for (const args of wrong) outcomes.push(outcomeOf(() => child.send(...args)));
      expect(await ask(child, { command: 'echo', value: 'open' })).toBe('open');
    });
    expect(outcomes.map(({ thrown }) => thrown?.message ?? 'sent')).toMatchInlineSnapshot(`
      [
        "The "message" argument must be specified",
        "The "message" argument must be specified",
        "The "message" argument must be one of type string, object, number, or boolean. Received function ",
        "The "message" argument must be one of type string, object, number, or boolean. Received type symbol (Symbol(symbol))",
        "The "message" argument must be one of type string, object, number, or boolean. Received type bigint (10n)",
        "This handle type cannot be sent",
        "This handle type cannot be sent",
        "This handle type cannot be sent",
        "The "options" argument must be of type object. Received type number (5)",
        "The "options" argument must be of type object. Received null",
        "The "options" argument must be of type object. Received type string ('no options')",
        "The "options" argument must be of type object. Received an instance of Array",
        "Do not know how to serialize a BigInt",
      ]
    `);
  });

  test('every form takes a callback, called with null', () =>
    withChild({ childProcess }, async (child) => {
      const forms = [[], [undefined], [undefined, {}], [null, { swallowErrors: true }]];
      const results = await Promise.all(
        forms.map((form) => new Promise((resolve) => child.send({ index: 0 }, ...form, resolve))),
      );
      expect(results).toEqual([null, null, null, null]);
    }));

  test('returns false from 128 KiB queued on, and true again once the child has read', () =>
    withChild({ childProcess }, async (child) => {
      const done = [];
      child.send({ command: 'block', milliseconds: 500 });
      const filler = 'x'.repeat(16 * 1024);
      let index = 0;
      while (index < 1000 && child.send({ index, filler }, () => done.push('called'))) index++;
      expect(index).toBeGreaterThan(8);
      expect(index).toBeLessThan(1000);
      await waitFor(() => done.length === index + 1);
      expect(child.send({ index: index + 1 })).toBe(true);
    }));

  test('after disconnect() it fails by callback, else by an error event', () =>
    withChild({ childProcess }, async (child) => {
      await ask(child, { command: 'echo', value: 'up' });
      child.disconnect();
      expect([child.connected, child.channel]).toEqual([false, null]);
      const [byCallback, byEvent] = await Promise.all([
        new Promise((resolve) => expect(child.send('late', resolve)).toBe(false)),
        new Promise((resolve) => (child.once('error', resolve), child.send('late'))),
      ]);
      expect(shapeOf(byEvent)).toEqual(shapeOf(byCallback));
      expect([byEvent.code, byEvent.message]).toEqual(['ERR_IPC_CHANNEL_CLOSED', 'Channel closed']);
      const errors = [];
      child.on('error', (error) => errors.push(error));
      child.disconnect();
      expect(errors.map(({ code, message }) => [code, message])).toEqual([
        ['ERR_IPC_DISCONNECTED', 'IPC channel is already disconnected'],
      ]);
    }));

  test('messages before the first listener wait for it', () =>
    withChild({ childProcess }, async (child) => {
      child.send({ command: 'burst', count: 3 });
      await new Promise((resolve) => setTimeout(resolve, 300));
      const messages = await collect(child, 3);
      expect(messages.map(({ index }) => index)).toEqual([0, 1, 2]);
    }));

  test('a listener that throws takes no other message with it', () =>
    withChild({ childProcess }, async (child) => {
      const received = [];
      const uncaught = await withUncaughtCollected(async (caught) => {
        child.on('message', ({ index }) => {
          received.push(index);
          throw new Error(`of message ${index}`);
        });
        child.send({ command: 'burst', count: 3 });
        await waitFor(() => received.length === 3);
        return caught;
      });
      expect(uncaught.map(({ message }) => message)).toEqual([
        'of message 0',
        'of message 1',
        'of message 2',
      ]);
    }));

  test('what begins with NODE_ is an internal message', () =>
    withChild({ childProcess }, async (child) => {
      const internal = once(child, 'internalMessage');
      child.send({ command: 'echo', value: { cmd: 'NODE_CUSTOM', value: 1 } });
      expect((await internal)[0]).toEqual({ cmd: 'NODE_CUSTOM', value: 1 });
    }));
});
