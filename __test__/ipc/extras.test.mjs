// What Node has not: requests, receipts, 'drain', iteration, limits; by the ring and by the wire.

import { once } from 'node:events';

import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { ours } from '../parity/both.mjs';
import { fixture } from '../helpers/run_script.mjs';
import { waitFor } from '../helpers/wait.mjs';

const cases = ['ring', 'wire'].flatMap((transport) => [
  [transport, 'json'],
  [transport, 'advanced'],
]);

describe.each(cases)('by the %s, %s', (transport, serialization) => {
  /** @type {any} */
  let child;
  beforeEach(() => {
    process.env.RCLUSTER_IPC = transport;
    child = ours.fork(fixture('ipc_answering.cjs'), [], { execArgv: [], serialization });
  });
  afterEach(async () => {
    delete process.env.RCLUSTER_IPC;
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  });

  test('a request is answered, also one that came before the handler', async () => {
    const answers = [{ a: [1, null] }, 'text', 0].map((value) => child.request({ what: 'echo', value }));
    expect(await Promise.all(answers)).toEqual([{ a: [1, null] }, 'text', 0]);
    expect(await child.request({ what: 'later' })).toBe('later');
    expect(await child.request({ what: 'transport' })).toBe(transport);
    expect(child.channel.transport).toBe(transport);
  });

  test('a child asks its parent', async () => {
    child.onRequest((question) => `${question}!`);
    expect(await child.request({ what: 'ask', question: 'why' })).toBe('why!');
  });

  test('an error arrives with its stack', async () => {
    const error = await child.request({ what: 'throw' }).catch((reason) => reason);
    expect(error).toBeInstanceOf(Error);
    expect(error).toMatchObject({ name: 'TypeError', message: 'thrown in the child', code: 'E_CHILD' });
    expect(error.stack).toContain('ipc_answering.cjs');
  });

  test('a request ends by a time-out, a signal, and the end of the child', async () => {
    const request = (options) => child.request({ what: 'never' }, options).catch((error) => error.code);
    expect(await child.request({ what: 'later' })).toBe('later');
    expect(await request({ timeout: 30 })).toBe('ERR_RCLUSTER_REQUEST_TIMEOUT');
    const reason = new Error('enough');
    const aborted = child.request({ what: 'never' }, { signal: AbortSignal.abort(reason) });
    await expect(aborted).rejects.toBe(reason);
    const pending = request();
    child.request({ what: 'exit' }).catch(() => {});
    expect(await pending).toBe('ERR_IPC_CHANNEL_CLOSED');
    expect(await request()).toBe('ERR_IPC_CHANNEL_CLOSED');
  });

  test('a callback with ack is called once the message has been dispatched', async () => {
    await new Promise((resolve, reject) => {
      child.send('x', undefined, { ack: true }, (error) => (error ? reject(error) : resolve()));
    });
    child.kill('SIGSTOP');
    const lost = new Promise((resolve) => child.send('x', undefined, { ack: true }, resolve));
    child.kill('SIGKILL');
    expect(await lost).toMatchObject({ code: 'ERR_IPC_CHANNEL_CLOSED' });
  });

  test('drain comes when a sender may go on', async () => {
    await child.request({ what: 'echo', value: 1 });
    let drains = 0;
    child.on('drain', () => drains++);
    child.kill('SIGSTOP');
    const text = 'x'.repeat(10_000);
    await waitFor(() => !child.send(text));
    for (let count = 0; count < 10; count++) expect(child.send(text)).toBe(false);
    child.kill('SIGCONT');
    await once(child, 'drain');
    expect(child.send('small')).toBe(true);
    expect(await child.request({ what: 'echo', value: 2 })).toBe(2);
    expect(drains).toBe(1);
  });

  test('iteration gives all messages in order and reads no faster than its user', async () => {
    const COUNT = 30_000;
    const answered = child.request({ what: 'numbers', count: COUNT });
    let next = 0;
    for await (const number of child.messages()) {
      expect(number).toBe(next++);
      if (next === 100) await new Promise((resolve) => setTimeout(resolve, 50));
      if (next === COUNT) break;
    }
    await answered;
    const rest = [];
    child.send('bye');
    setTimeout(() => child.disconnect(), 10);
    for await (const message of child.messages()) rest.push(message);
    expect(rest).toEqual([]);
  });

  test('what is above a limit is refused, and nothing else', async () => {
    await child.request({ what: 'echo', value: 1 });
    child.channel.setLimits({ messageSize: 1000, queueSize: 100_000 });
    const errorOf = (message) =>
      new Promise((resolve) => child.send(message, (error) => resolve(error?.code)));
    expect(await errorOf('x'.repeat(2000))).toBe('ERR_RCLUSTER_MESSAGE_SIZE');
    expect(await errorOf('x'.repeat(500))).toBe(undefined);
    // By the ways of large values, and of small ones, too.
    child.channel.setLimits({ messageSize: 60_000 });
    const values = (size) => ['x'.repeat(size), { text: 'x'.repeat(size) }, { bytes: Buffer.alloc(size) }];
    const errors = (size) => Promise.all(values(size).map(errorOf));
    const refused = 'ERR_RCLUSTER_MESSAGE_SIZE';
    for (let round = 0; round < 2; round++) {
      expect(await errors(60_001)).toEqual([refused, refused, refused]);
      expect(await errors(10_000)).toEqual([undefined, undefined, undefined]);
      expect((await errors(30_000)).slice(0, 2)).toEqual([undefined, undefined]);
    }
    child.kill('SIGSTOP');
    child.channel.setLimits({ queueSize: 100_000 });
    for (let count = 0; count < 300; count++) child.send('x'.repeat(10_000), () => {});
    expect(await errorOf('x')).toBe('ERR_RCLUSTER_QUEUE_SIZE');
    child.kill('SIGCONT');
  });

  test('a message that arrives and is above the limit closes the channel', async () => {
    child.onRequest(() => 'x'.repeat(300_000));
    await child.request({ what: 'echo', value: 1 });
    child.channel.setLimits({ messageSize: 1000 });
    const [{ code }] = await Promise.all([
      once(process, 'warning').then(([warning]) => warning),
      once(child, 'disconnect'),
      child.request({ what: 'echo', value: 'x' }).catch(() => {}),
      child.request({ what: 'big' }).catch(() => {}),
    ]);
    expect(code).toBe('RCLUSTER_CHANNEL');
  });
});

test('a child that has been silent for long is taken for stock soon', async () => {
  const child = /** @type {any} */ (ours.fork(fixture('ipc_child.cjs'), [], { execArgv: [] }));
  const { now } = performance;
  performance.now = () => now.call(performance) + 10_000;
  const startedAt = now.call(performance);
  try {
    await expect(child.request('x')).rejects.toMatchObject({ code: 'ERR_RCLUSTER_PEER' });
  } finally {
    performance.now = now;
  }
  expect(now.call(performance) - startedAt).toBeLessThan(8000);
  child.disconnect();
  await once(child, 'exit');
});

test('a stock child cannot be asked, and says so when it ends', async () => {
  const child = /** @type {any} */ (ours.fork(fixture('ipc_child.cjs'), [], { execArgv: [] }));
  const failed = child.request('x', { timeout: 100 });
  await expect(failed).rejects.toMatchObject({ code: 'ERR_RCLUSTER_PEER' });
  const pending = child.request('x').catch((error) => error.code);
  const exited = once(child, 'exit');
  child.disconnect();
  expect(await pending).toBe('ERR_RCLUSTER_PEER');
  await exited;
});
