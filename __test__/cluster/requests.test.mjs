// Questions between the primary and its workers.

import { once } from 'node:events';

import { afterEach, expect, test } from 'vitest';

import { call, cluster, endAll, startWorker } from '../helpers/cluster.mjs';

afterEach(async () => {
  cluster.onRequest(null);
  await endAll();
});

test.each(['json', 'advanced'])(
  'the primary asks a worker and a worker the primary (%s)',
  async (serialization) => {
    const worker = await startWorker({ settings: { serialization } });
    const early = worker.request('early');
    await call(worker, 'answer');
    expect(await early).toEqual({ question: 'early', from: 0, by: worker.id });
    expect(await worker.request({ a: 1 })).toEqual({ question: { a: 1 }, from: 0, by: worker.id });

    worker.onRequest((question) => `${question}!`);
    expect(await call(worker, 'ask', 'why')).toBe('why!');
    expect(await call(worker, 'transport')).toBe('ring');
    cluster.setupPrimary({ serialization: 'json' });
  },
);

test('one handler answers all workers, also those that come later', async () => {
  const first = await startWorker();
  cluster.onRequest((question, worker) => [question, worker.id]);
  const second = await startWorker();
  expect(await call(first, 'ask', 'x')).toEqual(['x', first.id]);
  expect(await call(second, 'ask', 'y')).toEqual(['y', second.id]);
  expect(() => cluster.onRequest(7)).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARG_TYPE' }));
});

test('errors go both ways', async () => {
  const worker = await startWorker();
  await call(worker, 'answer');
  const expected = { name: 'TypeError', message: 'thrown in the worker', code: 'E_WORKER' };
  await expect(worker.request('fail')).rejects.toMatchObject(expected);
  cluster.onRequest(() => {
    throw Object.assign(new RangeError('thrown in the primary'), { code: 'E_PRIMARY' });
  });
  await expect(call(worker, 'ask', 'x')).rejects.toMatchObject({ name: 'RangeError', code: 'E_PRIMARY' });
});

test('a request ends by a time-out, a signal, and the end of the worker', async () => {
  const worker = await startWorker();
  await call(worker, 'answer');
  const outcome = (options) => worker.request('never', options).catch((error) => error.code ?? error.name);
  expect(await outcome({ timeout: 20 })).toBe('ERR_RCLUSTER_REQUEST_TIMEOUT');
  expect(await outcome({ signal: AbortSignal.abort() })).toBe(DOMException.ABORT_ERR);
  const pending = outcome();
  worker.process.kill('SIGKILL');
  expect(await pending).toBe('ERR_IPC_CHANNEL_CLOSED');
  if (!worker.isDead()) await once(worker, 'exit');
  expect(await outcome()).toBe('ERR_IPC_CHANNEL_CLOSED');
});

test('a worker that never loads rcluster is no one to ask', async () => {
  const worker = await startWorker({ stock: true });
  const pending = worker.request('x').catch((error) => error.code);
  worker.process.kill('SIGKILL');
  expect(await pending).toBe('ERR_RCLUSTER_PEER');
});
