// Messages and questions from worker to worker.

import { afterEach, expect, test } from 'vitest';

import { call, cluster, endAll, startWorker, startWorkers } from '../helpers/cluster.mjs';
import { expectNoLeaks } from '../helpers/leaks.mjs';
import { sleep, waitFor } from '../helpers/wait.mjs';

const ROUNDS = Number(process.env.RCLUSTER_TEST_ROUNDS ?? 3);

afterEach(endAll);

test('a message arrives, in order, also before anybody listens', async () => {
  const [sender, receiver] = await startWorkers(2);
  await call(sender, 'tell', receiver.id, { early: true });
  await call(sender, 'tellMany', receiver.id, 200);
  await call(receiver, 'hear');
  await waitFor(async () => (await call(receiver, 'heard')).length === 201);
  const expected = [{ early: true }, ...Array.from({ length: 200 }, (_, at) => ({ at }))];
  expect(await call(receiver, 'heard')).toEqual(expected.map((message) => [message, sender.id]));
});

test('both ends may begin, at once, many times', async () => {
  for (let round = 0; round < ROUNDS; round++) {
    const workers = await startWorkers(3);
    await Promise.all(workers.map((worker) => call(worker, 'hear')));
    await Promise.all(
      workers.flatMap((from) =>
        workers.filter((to) => to !== from).map((to) => call(from, 'tellMany', to.id, 20)),
      ),
    );
    for (const worker of workers) {
      const heard = await call(worker, 'heard');
      for (const from of workers.filter((other) => other !== worker)) {
        const ats = heard.filter(([, id]) => id === from.id).map(([{ at }]) => at);
        expect(ats).toEqual(Array.from({ length: 20 }, (_, at) => at));
      }
    }
    await endAll();
  }
});

test('a message is a structured clone', async () => {
  const [sender, receiver] = await startWorkers(2);
  await call(receiver, 'hear');
  await call(sender, 'tellMap', receiver.id);
  expect(await call(receiver, 'heardMap')).toEqual(['bigint']);
});

test('a worker asks another', async () => {
  const [asker, answerer] = await startWorkers(2);
  await expect(call(asker, 'askWorker', answerer.id, 'x')).rejects.toMatchObject({
    code: 'ERR_RCLUSTER_NO_HANDLER',
  });
  await call(answerer, 'answer');
  const answer = await call(asker, 'askWorker', answerer.id, 'x');
  expect(answer).toEqual({ question: 'x', from: asker.id, by: answerer.id });
  await expect(call(asker, 'askWorker', answerer.id, 'fail')).rejects.toMatchObject({ code: 'E_WORKER' });
  await expect(call(asker, 'askWorker', answerer.id, 'never', { timeout: 20 })).rejects.toMatchObject({
    code: 'ERR_RCLUSTER_REQUEST_TIMEOUT',
  });
});

test('a broadcast reaches all others', async () => {
  const workers = await startWorkers(4);
  const stock = await startWorker({ stock: true });
  await Promise.all(workers.map((worker) => call(worker, 'hear')));
  const [sender, ...others] = workers;
  expect(await call(sender, 'tellAll', 'all')).toBe(3);
  for (const worker of others) {
    await waitFor(async () => (await call(worker, 'heard')).length > 0);
    expect(await call(worker, 'heard')).toEqual([['all', sender.id]]);
  }
  expect(await call(sender, 'heard')).toEqual([]);
  expect(stock.isConnected()).toBe(true);
});

test('who is not there, or no longer, is an error, and its replacement is somebody else', async () => {
  const [sender, receiver] = await startWorkers(2);
  const noWorker = (id) => ({
    code: 'ERR_RCLUSTER_NO_WORKER',
    message: `There is no worker ${id}, or it has ended`,
  });
  await expect(call(sender, 'tell', 987_654, 'x')).rejects.toMatchObject(noWorker(987_654));
  await call(receiver, 'answer');
  await call(sender, 'tell', receiver.id, 'x');
  const pending = call(sender, 'askWorker', receiver.id, 'never').catch(({ code }) => code);
  await sleep(50);
  receiver.process.kill('SIGKILL');
  expect(await pending).toBe('ERR_RCLUSTER_NO_WORKER');
  await expect(call(sender, 'tell', receiver.id, 'x')).rejects.toMatchObject(noWorker(receiver.id));
  const replacement = await startWorker();
  await call(sender, 'tell', replacement.id, 'x');
});

test('what cannot be is refused', async () => {
  const worker = await startWorker();
  const codeOf = (...args) => call(worker, 'tell', ...args).catch(({ code }) => code);
  expect(await codeOf(worker.id, 'x')).toBe('ERR_INVALID_ARG_VALUE');
  expect(await codeOf('1', 'x')).toBe('ERR_INVALID_ARG_TYPE');
  expect(await codeOf(0, 'x')).toBe('ERR_OUT_OF_RANGE');
  expect(await codeOf(1)).toBe('ERR_MISSING_ARGS');
});

test('workers talk while the JavaScript of the primary is blocked', async () => {
  const [asker, answerer] = await startWorkers(2);
  await call(answerer, 'answer');
  // They have never talked before.
  const answered = call(asker, 'askWorkerLater', answerer.id, 'x');
  const begin = Date.now();
  while (Date.now() - begin < 1000);
  const blockedUntil = Date.now();
  expect((await answered).at).toBeLessThan(blockedUntil);
});

test('channels between workers end with them', async () => {
  const talk = async () => {
    const workers = await startWorkers(3);
    for (const worker of workers) await call(worker, 'tellAll', 'x');
    await endAll();
  };
  // The engine and its accept thread come with the first worker, and stay.
  await talk();
  await expectNoLeaks(talk);
  // A worker goes from the list with the end of its channel, which may come after its exit.
  await waitFor(() => Object.keys(cluster.workers).length === 0);
});
