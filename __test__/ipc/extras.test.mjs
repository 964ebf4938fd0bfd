// What Node has not: requests, receipts, 'drain', iteration, limits; by the ring and by the wire.

import { once } from 'node:events';
import { readFileSync } from 'node:fs';

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

  test('a request to a child that has died ends the same before its end is known here', async () => {
    expect(await child.request({ what: 'later' })).toBe('later');
    const exited = once(child, 'exit');
    child.kill('SIGKILL');
    // This thread does not turn to its event loop meanwhile.
    const isRunning = () => !/\) [ZX] /.test(readFileSync(`/proc/${child.pid}/stat`, 'utf8'));
    while (isRunning());
    expect(child.connected).toBe(true);
    const error = await child.request({ what: 'echo', value: 1 }).catch((reason) => reason);
    expect(error.code).toBe('ERR_IPC_CHANNEL_CLOSED');
    await exited;
  });

  test('what a request cannot be is refused, and what cannot be answered is an error', async () => {
    expect(await child.request({ what: 'later' })).toBe('later');
    const request = (message, options) =>
      child.request(message, options).catch((error) => error.code ?? error.name);
    for (const options of [null, 5, 'text', { timeout: '5' }, { signal: {} }, { signal: null }])
      expect(await request('x', options)).toBe('ERR_INVALID_ARG_TYPE');
    for (const options of [{ timeout: -1 }, { timeout: NaN }])
      expect(await request('x', options)).toBe('ERR_OUT_OF_RANGE');
    const never = request({ what: 'never' }, { timeout: Infinity });
    const long = request({ what: 'never' }, { timeout: 2 ** 40 });
    const cyclic = { what: 'echo' };
    cyclic.value = cyclic;
    const unsendable = [{ what: 'echo', value: serialization === 'json' ? 1n : () => {} }];
    if (serialization === 'json') unsendable.push(cyclic);
    for (const message of unsendable) expect(await request(message)).toMatch(/TypeError|Error/);
    for (const value of [undefined, null, 0, '', 'text', { a: 1 }])
      expect(await child.request({ what: 'throwValue', value }).catch((reason) => ({ reason }))).toEqual({
        reason: value,
      });
    expect(await request({ what: 'unsendable' })).toMatch(/TypeError|Error/);
    expect(await request({ what: 'strange' })).toBe('Error');
    const many = await Promise.all(
      Array.from({ length: 500 }, (_, value) => child.request({ what: 'echo', value })),
    );
    expect(many).toEqual(Array.from({ length: 500 }, (_, value) => value));
    expect(await Promise.race([never, long, 'pending'])).toBe('pending');
    child.kill('SIGKILL');
    expect(await Promise.all([never, long])).toEqual(['ERR_IPC_CHANNEL_CLOSED', 'ERR_IPC_CHANNEL_CLOSED']);
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
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

  test('an iteration that stops leaves what it has not given to the next, unless others have heard it', async () => {
    const answered = child.request({ what: 'numbers', count: 50 });
    for await (const number of child.messages()) if (number === 9) break;
    await answered;
    const next = child.messages();
    for (let number = 10; number < 20; number++) expect(await next.next()).toMatchObject({ value: number });
    await next.return();
    const heard = [];
    child.on('message', (number) => heard.push(number));
    await waitFor(() => heard.length > 0);
    expect(heard).toEqual(Array.from({ length: 30 }, (_, at) => at + 20));

    const [first, second] = [child.messages(), child.messages()];
    const given = [first.next(), second.next()];
    await child.request({ what: 'numbers', count: 5 });
    expect(await Promise.all(given)).toMatchObject([{ value: 0 }, { value: 0 }]);
    await first.return();
    expect(await second.next()).toMatchObject({ value: 1 });
    await second.return();
    child.removeAllListeners('message');
    expect(heard.slice(30)).toEqual([0, 1, 2, 3, 4]);
  });

  test('reading pauses for the slower of two iterations', async () => {
    const [slow, fast] = [child.messages(), child.messages()];
    const first = slow.next();
    const answered = child.request({ what: 'numbers', count: 20_000 });
    let given = 0;
    const reading = (async () => {
      for await (const number of fast) if (++given && number === 19_999) break;
    })();
    await first;
    await new Promise((resolve) => setTimeout(resolve, 200));
    // As many as the slow one may have before it, and what had come by then.
    expect(given).toBeLessThan(10_000);
    await slow.return();
    await reading;
    expect(given).toBe(20_000);
    await answered;
  });

  test.each([null, 5, 'x', { signal: 5 }])('options %j of an iteration are refused', (options) => {
    expect(() => child.messages(options)).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARG_TYPE' }));
  });

  test.each([undefined, null, 5, 'x'])('limits %j are refused', (limits) => {
    expect(() => child.channel.setLimits(limits)).toThrow(
      expect.objectContaining({ code: 'ERR_INVALID_ARG_TYPE' }),
    );
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

  test('the limits are exact for what is sent, and never refuse what is within them', async () => {
    expect(await child.request({ what: 'echo', value: 1 })).toBe(1);
    const LIMIT = 100_000;
    child.channel.setLimits({ messageSize: LIMIT });
    const makers = [(size) => 'x'.repeat(size)];
    if (serialization === 'advanced') makers.push((size) => Buffer.alloc(size));
    for (const make of makers) {
      const errors = [];
      for (let size = LIMIT - 60; size <= LIMIT; size++)
        errors.push(new Promise((resolve) => child.send(make(size), (error) => resolve(error?.code))));
      const codes = await Promise.all(errors);
      const accepted = codes.findIndex((code) => code !== undefined);
      // What goes around it counts too: quotes and a newline, or a header.
      expect(accepted).toBeGreaterThan(10);
      expect(new Set(codes.slice(accepted))).toEqual(new Set(['ERR_RCLUSTER_MESSAGE_SIZE']));
    }

    child.channel.setLimits({});
    const answer = (size, isBuffer) => child.request({ what: 'sized', size, isBuffer });
    const kinds = serialization === 'advanced' ? [false, true] : [false];
    for (const isBuffer of kinds) {
      for (const size of [65_536, 131_072, 262_144, 1_048_576, 2_000_000]) {
        // Some bytes for what goes around it.
        child.channel.setLimits({ messageSize: size + 200 });
        expect((await answer(size, isBuffer)).length).toBe(size);
        expect((await answer(size - 1, isBuffer)).length).toBe(size - 1);
      }
    }
    child.channel.setLimits({ messageSize: 1_000_000 });
    const disconnected = once(child, 'disconnect');
    const [[warning]] = await Promise.all([
      once(process, 'warning'),
      expect(answer(1_000_100, serialization === 'advanced')).rejects.toMatchObject({
        code: 'ERR_IPC_CHANNEL_CLOSED',
      }),
      disconnected,
    ]);
    expect(warning.code).toBe('RCLUSTER_CHANNEL');
  });

  test('no more is queued than the limit and one message', async () => {
    expect(await child.request({ what: 'echo', value: 1 })).toBe(1);
    const LIMIT = 4 << 20;
    const SIZE = 64 * 1024;
    child.channel.setLimits({ queueSize: LIMIT });
    child.kill('SIGSTOP');
    const errors = [];
    let accepted = 0;
    for (; errors.length === 0 && accepted < 1000; accepted++) {
      child.send('x'.repeat(SIZE), (error) => error && errors.push(error.code));
      await new Promise(setImmediate);
    }
    expect(errors).toEqual(['ERR_RCLUSTER_QUEUE_SIZE']);
    // Beside the queue there is room in the ring, or in the socket.
    expect(accepted * SIZE).toBeGreaterThan(LIMIT);
    expect(accepted * SIZE).toBeLessThan(LIMIT + (3 << 20));
    child.kill('SIGCONT');
    await once(child, 'drain');
    expect(await child.request({ what: 'echo', value: 2 })).toBe(2);
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
