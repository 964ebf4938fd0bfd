// How a channel ends: by either side, in order or not, with what was sent before delivered.

import { once } from 'node:events';
import { AsyncLocalStorage } from 'node:async_hooks';
import { describe, expect, test } from 'vitest';

import { ask, collect, withChild } from '../helpers/ipc.mjs';
import { fixture } from '../helpers/run_script.mjs';
import { expectNoLeaks } from '../helpers/leaks.mjs';
import { sleep, waitFor } from '../helpers/wait.mjs';
import { both, ours } from '../parity/both.mjs';

/** The names of these events, as they come. */
function recordEvents(child, names = ['disconnect', 'exit', 'close', 'error']) {
  const events = [];
  for (const name of names) child.on(name, () => events.push(name));
  return events;
}

describe.each(both)('%s', (name, childProcess) => {
  test('the child disconnects: all it sent has arrived, then disconnect, exit, close', () =>
    withChild({ childProcess }, async (child) => {
      const events = recordEvents(child, ['message', 'disconnect', 'exit', 'close']);
      child.on('disconnect', () => expect([child.connected, child.channel]).toEqual([false, null]));
      child.send({ command: 'burst', count: 50 });
      child.send({ command: 'disconnect' });
      await once(child, 'close');
      expect(events).toEqual([...new Array(50).fill('message'), 'disconnect', 'exit', 'close']);
    }));

  test('the child exits: the same, although it never disconnected', () =>
    withChild({ childProcess }, async (child) => {
      const events = recordEvents(child, ['message', 'disconnect', 'exit', 'close']);
      child.send({ command: 'burst', count: 50 });
      child.send({ command: 'exit', code: 3 });
      await once(child, 'close');
      expect(events.slice(0, 50)).toEqual(new Array(50).fill('message'));
      expect(events.slice(50).sort()).toEqual(['close', 'disconnect', 'exit']);
      expect(child.exitCode).toBe(3);
    }));

  test('disconnect() here: the child gets what was sent before, and its end', () =>
    withChild({ childProcess }, async (child) => {
      const events = recordEvents(child);
      for (let index = 0; index < 50; index++) child.send({ index });
      child.send({ command: 'exit', code: 7 });
      child.disconnect();
      expect([child.connected, child.channel, events]).toEqual([false, null, []]);
      await once(child, 'exit');
      expect(child.exitCode).toBe(7);
      expect(events.slice(0, 2)).toEqual(['disconnect', 'exit']);
    }));

  test('an asynchronous context at the time of the fork is that of its events', async () => {
    const storage = new AsyncLocalStorage();
    await storage.run('of the fork', () =>
      withChild({ childProcess }, async (child) => {
        const seen = [];
        child.on('message', () => seen.push(storage.getStore()));
        child.on('disconnect', () => seen.push(storage.getStore()));
        storage.run('of the send', () => child.send({ command: 'burst', count: 2 }));
        storage.run('of the send', () => child.send({ command: 'disconnect' }));
        await waitFor(() => seen.length === 3);
        expect(seen).toEqual(['of the fork', 'of the fork', 'of the fork']);
      }),
    );
  });
});

test.each(both)("after disconnect() here 'close' does not come (%s)", (_, childProcess) =>
  withChild({ childProcess, silent: true }, async (child) => {
    const events = recordEvents(child);
    child.disconnect();
    await once(child, 'exit');
    await waitFor(() => child.stdout.destroyed && child.stderr.destroyed);
    await sleep(20);
    expect(events).toEqual(['disconnect', 'exit']);
  }),
);

test('disconnect() delivers what the child had no room for yet', () =>
  withChild({}, async (child) => {
    child.send({ command: 'block', milliseconds: 300 });
    for (let index = 0; index < 50; index++) child.send({ index, filler: 'x'.repeat(100_000) });
    child.send({ command: 'exit', code: 9 });
    child.disconnect();
    await once(child, 'exit');
    expect(child.exitCode).toBe(9);
  }));

test('disconnect() while a message is half here receives that message first', () =>
  withChild({}, async (child) => {
    await ask(child, { command: 'echo', value: 'up' });
    const events = recordEvents(child, ['message', 'disconnect']);
    child.send({ command: 'burst', count: 1, size: 20_000_000 });
    await waitFor(() => isHalfReceived(child), { interval: 1 });
    child.disconnect();
    await once(child, 'disconnect');
    expect(events).toEqual(['message', 'disconnect']);
  }));

/** Whether a message is half received, by what the channel keeps to itself. */
function isHalfReceived(child) {
  const ipc = Object.getOwnPropertySymbols(child).find(({ description }) => description === 'rcluster.ipc');
  return child[ipc].wire.isPartial;
}

describe.each(['json', 'advanced'])('%s', (serialization) => {
  // Thirty-two processes: on a busy machine that is more than the usual time.
  test(
    'a child killed at any instant leaves whole messages, a disconnect and nothing open',
    { timeout: 60_000 },
    async () => {
      const round = async () => {
        for (let index = 0; index < 8; index++) {
          await withChild({ serialization }, async (child) => {
            await ask(child, { command: 'echo', value: 'up' });
            const numbers = [];
            child.on('message', (message) => numbers.push(message.index));
            child.on('error', () => {});
            child.send({ command: 'burst', count: 2000, size: 5000 });
            for (let at = 0; at < 100; at++) child.send({ index: at, filler: 'x'.repeat(10_000) });
            await sleep(Math.random() * 20);
            child.kill('SIGKILL');
            await once(child, 'close');
            expect(numbers).toEqual(numbers.map((number, at) => at));
          });
        }
      };
      await round();
      await expectNoLeaks(round);
    },
  );
});

test('a child that dies in the middle of a message: what came before is delivered', () =>
  withChild({}, async (child) => {
    const messages = collect(child, 1);
    const events = recordEvents(child);
    child.send({ command: 'dieInTheMiddle' });
    await once(child, 'close');
    expect(await messages).toEqual(['before']);
    expect(events).toContain('disconnect');
    expect(events).not.toContain('error');
  }));

test('a program that cannot be started: the channel ends as if it had', async () => {
  const child = ours.spawn('/does/not/exist', { stdio: ['ignore', 'ignore', 'ignore', 'ipc'] });
  const events = recordEvents(child);
  await once(child, 'close').catch(() => {});
  await waitFor(() => events.includes('close') && events.includes('disconnect'));
  expect([...events].sort()).toEqual(['close', 'disconnect', 'error']);
});

test('200 children leave nothing', async () => {
  const round = async () => {
    for (let index = 0; index < 20; index++) {
      const children = Array.from({ length: 5 }, () =>
        ours.spawn('/bin/true', { stdio: ['ignore', 'ignore', 'ignore', 'ipc'] }),
      );
      await Promise.all(children.map((child) => once(child, 'close')));
    }
  };
  await round();
  await expectNoLeaks(round);
});

test.each(['json', 'advanced'])(
  'a listener that disconnects gets all that came before it (%s)',
  async (serialization) => {
    const child = ours.fork(fixture('ipc_late.cjs'), [], {
      serialization,
      execArgv: ['--require', 'rcluster/register'],
      stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
    });
    let printed = '';
    child.stdout.setEncoding('utf8').on('data', (text) => (printed += text));
    for (const message of ['a', 'b', 'c']) child.send(message);
    const [code] = await once(child, 'close');
    expect({ code, printed }).toEqual({
      code: 0,
      printed: 'a true\nb false\nc false\ndisconnect null\nnull\nnull\n',
    });
  },
);
