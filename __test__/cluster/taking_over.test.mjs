// A worker keeps Node's channel until it has more to say than that it listens, or is asked what only ours can do. Nothing
// is lost, doubled or overtaken by that.

import { once } from 'node:events';

import { afterEach, describe, expect, test } from 'vitest';

import { cluster } from '../helpers/cluster.mjs';
import { fixture } from '../helpers/run_script.mjs';

/** Kills the workers and waits for their ends. */
async function endAll() {
  const ended = Object.values(cluster.workers).map((worker) => {
    worker.process.kill('SIGKILL');
    return once(worker, 'exit');
  });
  await Promise.all(ended);
}

afterEach(async () => {
  await endAll();
  cluster.setupPrimary({ serialization: 'json' });
});

describe.each(['json', 'advanced'])('%s', (serialization) => {
  let worker;
  const start = (env = {}) => {
    cluster.setupPrimary({ exec: fixture('cluster_taking_over.cjs'), serialization });
    worker = cluster.fork(env);
    worker.setMaxListeners(0);
  };

  /** @returns {Promise<any>} the answer, whatever else comes before it */
  function answer() {
    return new Promise((resolve) => {
      worker.on('message', function onMessage(reply) {
        if (reply.answer === undefined) return;
        worker.off('message', onMessage);
        resolve(reply.answer);
      });
    });
  }

  function ask(message) {
    const answered = answer();
    worker.send(message);
    return answered;
  }

  test('a few words go by the channel of Node', async () => {
    start({ FIRST: 'state' });
    expect(await answer()).toEqual({ hasOwnChannel: false, context: 'none' });
    expect(await ask({ what: 'state' })).toEqual({ hasOwnChannel: false, context: 'none' });
  });

  test('an exchange is worth the ring', async () => {
    start();
    for (let round = 0; round < 4; round++) await ask({ what: 'state' });
    expect(await ask({ what: 'state' })).toMatchObject({ hasOwnChannel: true });
    expect(worker.process.channel.transport).toBe('ring');
  });

  test('one big message is, too', async () => {
    start();
    await ask({ what: 'state', filling: 'x'.repeat(300_000) });
    await expect.poll(async () => (await ask({ what: 'state' })).hasOwnChannel).toBe(true);
  });

  test('either end that looks for the transport will find the ring', async () => {
    start();
    await once(worker, 'online');
    await expect.poll(() => worker.process.channel.transport).toBe('ring');
    await endAll();
    start({ FIRST: 'transport' });
    expect(await answer()).toBe('wire');
    expect(await ask({ what: 'transport' })).toBe('ring');
  });

  test('a burst that begins before and ends after arrives in order, outside of its context', async () => {
    start();
    const received = [];
    worker.on('message', (message) => typeof message === 'number' && received.push(message));
    expect(await ask({ what: 'burst', count: 1000 })).toBe('sent');
    expect(received).toEqual(Array.from({ length: 1000 }, (_, number) => number));
    expect(await ask({ what: 'state' })).toMatchObject({ context: 'none' });
  });

  test("'drain' comes though the message went by the channel of Node", async () => {
    // Before anything is read: that would be enough to take the channel over.
    start({ FIRST: 'flood' });
    const replies = [];
    worker.on('message', (message) => typeof message === 'object' && replies.push(message));
    await expect.poll(() => replies, { timeout: 5000 }).toEqual([{ answer: false }, { drained: true }]);
  });

  test('a receipt is given by a worker that has said nothing yet', async () => {
    start();
    await new Promise((resolve, reject) =>
      worker.process.send({ what: 'state' }, undefined, { ack: true }, (error) =>
        error ? reject(error) : resolve(),
      ),
    );
  });

  test('either asks the other though nothing has been said', async () => {
    start({ FIRST: 'answer' });
    expect(await worker.request('who')).toBe('who!');
    await endAll();
    start({ FIRST: 'ask' });
    worker.onRequest((question) => `${question}?`);
    expect(await answer()).toBe('why?');
  });

  test('a request makes it known to a worker that nobody has written to', async () => {
    start();
    // It has no handler, so there is no answer; that the other end is rcluster is known, or it would be refused.
    await expect(worker.request('anything', { timeout: 2000 })).rejects.toMatchObject({
      code: 'ERR_RCLUSTER_REQUEST_TIMEOUT',
    });
    expect(worker.process.channel.transport).toBe('ring');
  });

  test('a request that came before rcluster was loaded is not lost', async () => {
    start({ LATE: '1' });
    const asked = worker.request('anything', { timeout: 3000 }).catch(({ code }) => code);
    expect(await ask({ what: 'load' })).toBe('object');
    expect(await asked).toBe('ERR_RCLUSTER_REQUEST_TIMEOUT');
  });
});
