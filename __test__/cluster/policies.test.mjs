import net from 'node:net';

import { afterAll, afterEach, beforeEach, expect, test } from 'vitest';

import {
  call,
  cluster,
  endAll,
  greeted,
  greeting,
  listenAll,
  startWorker,
  startWorkers,
  takerOf,
} from '../helpers/cluster.mjs';
import { fixture, runScript } from '../helpers/run_script.mjs';
import { sleep, waitFor } from '../helpers/wait.mjs';

const { SCHED_LEAST_CONN, SCHED_LEAST_LOAD, SCHED_NONE, SCHED_REUSEPORT, SCHED_RR, SCHED_STICKY } = cluster;

const sockets = [];

beforeEach(() => cluster.setupPrimary({ schedulingPolicy: SCHED_RR }));
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await endAll();
});
afterAll(() => cluster.setupPrimary({ schedulingPolicy: SCHED_RR }));

async function cast(schedulingPolicy, count, name = 'hold') {
  cluster.setupPrimary({ schedulingPolicy });
  const workers = await startWorkers(count);
  const port = await listenAll(workers, name);
  await waitFor(() => Object.keys(cluster.loads()).length === count);
  return { workers, port };
}

/** Connects and stays; the number of the worker. */
async function stay(port, from = '127.0.0.1') {
  const { id, socket } = await greeted({ port, host: '127.0.0.1', localAddress: from });
  socket.on('error', () => {});
  sockets.push(socket);
  return id;
}

async function stayTimes(count, port, from) {
  const ids = [];
  for (let i = 0; i < count; i++) ids.push(await stay(port, from));
  return ids;
}

const times = (ids, { id }) => ids.filter((other) => other === id).length;

// A worker that is busy for some milliseconds, as it is when it begins, is passed over: three times in a row it is not.
test('SCHED_LEAST_CONN makes up for what has closed', { retry: 2 }, async () => {
  const { workers, port } = await cast(SCHED_LEAST_CONN, 2);
  const [first, second] = workers;
  const ids = await stayTimes(10, port);
  expect([times(ids, first), times(ids, second)]).toEqual([5, 5]);
  ids.forEach((id, index) => id === first.id && sockets[index].destroy());
  await waitFor(() => first.load.open === 0);
  expect(await stayTimes(5, port)).toEqual(Array(5).fill(first.id));
  expect(new Set(await stayTimes(2, port))).toEqual(new Set([first.id, second.id]));
});

test('SCHED_LEAST_LOAD leaves out a busy event loop', async () => {
  const { workers, port } = await cast(SCHED_LEAST_LOAD, 2);
  const [busy, idle] = workers;
  await call(busy, 'beBusy', 0.8);
  await waitFor(() => busy.load.utilization > 0.5 && idle.load.utilization < 0.3);
  const ids = [];
  for (let i = 0; i < 10; i++) {
    ids.push(await stay(port));
    await sleep(20);
  }
  expect(times(ids, idle)).toBeGreaterThan(7);
});

test('under SCHED_LEAST_CONN a worker in the middle of some input holds up nobody', async () => {
  const { workers, port } = await cast(SCHED_LEAST_CONN, 2);
  const [blocked, other] = workers;
  const ids = await stayTimes(20, port);
  // It has the fewest from now on.
  ids.forEach((id, index) => id === blocked.id && sockets[index].destroy());
  await waitFor(() => blocked.load.open === 0);
  const delays = [];
  for (let round = 0; round < 6; round++) {
    const end = call(blocked, 'blockFor', 200);
    await sleep(30);
    const startedAt = performance.now();
    expect(await stay(port)).toBe(other.id);
    delays.push(performance.now() - startedAt);
    await end;
  }
  // Some may have waited for a processor.
  expect(delays.toSorted((a, b) => a - b)[2]).toBeLessThan(30);
});

/** Whose an answer is that comes after so many milliseconds, and how long it took. */
async function askFor(port, what) {
  const from = performance.now();
  const socket = net.connect(port, '127.0.0.1');
  socket.write(what);
  const id = await greeting(socket);
  return { id, took: performance.now() - from };
}

// Their clients speak first, as those of HTTP do. One that waits in a system call is told at once, one that spins by the
// processor time that it has.
test.each(['wait', 'spin'])(
  'under SCHED_RR what waits for a blocked worker soon goes on (%s)',
  async (kind) => {
    const { workers, port } = await cast(SCHED_RR, 2, 'blocked');
    // One that has just begun is given time.
    await sleep(1100);
    const ask = (time) => askFor(port, `${kind} ${time}`);
    const waits = [];
    const ids = [];
    for (let round = 0; round < 11; round++) {
      const blocked = ask(80);
      await sleep(20);
      // Two of them would be the blocked worker's.
      const others = await Promise.all([0, 0, 0, 0].map(ask));
      waits.push(Math.max(...others.map(({ took }) => took)));
      ids.push((await blocked).id, ...others.map(({ id }) => id));
    }
    expect(waits.sort((a, b) => a - b)[5]).toBeLessThan(20);
    // What went on without one of them it gets afterwards.
    for (let i = 0; i < 20; i++) ids.push((await ask(0)).id);
    expect(Math.abs(times(ids, workers[0]) - times(ids, workers[1]))).toBeLessThan(4);
  },
);

test.each([
  ['SCHED_RR', SCHED_RR],
  ['SCHED_LEAST_CONN', SCHED_LEAST_CONN],
])('under %s nobody is behind one that blocks because both came at once', async (_, policy) => {
  const { port } = await cast(policy, 2, 'blocked');
  await sleep(1100);
  const waits = [];
  for (let round = 0; round < 7; round++) {
    // Both workers are busy, so that each finds several when it goes on, the first of which blocks one of them.
    const busy = [60, 60].map((time) => askFor(port, `wait ${time}`));
    await sleep(20);
    const blocked = askFor(port, 'wait 300');
    const others = await Promise.all(Array.from({ length: 7 }, () => askFor(port, 'wait 0')));
    waits.push(Math.max(...others.map(({ took }) => took)));
    await Promise.all([...busy, blocked]);
  }
  expect(waits.sort((a, b) => a - b)[3]).toBeLessThan(150);
});

test('SCHED_STICKY has each client at one worker, also after the loss of another', async () => {
  const { workers, port } = await cast(SCHED_STICKY, 3, 'listen');
  const clients = Array.from({ length: 24 }, (_, i) => `127.0.1.${i + 1}`);
  const takers = async () =>
    Promise.all(clients.map((localAddress) => takerOf({ port, host: '127.0.0.1', localAddress })));
  const before = await takers();
  expect(await takers()).toEqual(before);
  expect(new Set(before).size).toBe(3);

  const [, lost] = workers;
  lost.process.kill('SIGKILL');
  await waitFor(() => lost.isDead());
  const without = await takers();
  before.forEach((id, index) => id !== lost.id && expect(without[index]).toBe(id));
  // Its replacement gets just the clients of the lost one.
  const replacement = await startWorker();
  await listenAll([replacement], 'listen');
  const after = await takers();
  expect(after).toEqual(before.map((id) => (id === lost.id ? replacement.id : id)));
});

test('SCHED_REUSEPORT and SCHED_NONE have workers accept for themselves, on one port', async () => {
  for (const policy of [SCHED_REUSEPORT, SCHED_NONE]) {
    cluster.setupPrimary({ schedulingPolicy: policy });
    const workers = await startWorkers(2);
    const port = await listenAll(workers, 'listen');
    const ids = await Promise.all(Array.from({ length: 60 }, () => takerOf(port)));
    expect(workers.map(({ id }) => id)).toEqual(expect.arrayContaining([...new Set(ids)]));
    if (policy === SCHED_REUSEPORT) expect(new Set(ids).size).toBe(2);
    await endAll();
  }
});

test('SCHED_REUSEPORT does not share a port with another program', async () => {
  const { port } = await cast(SCHED_RR, 1, 'listen');
  cluster.setupPrimary({ schedulingPolicy: SCHED_REUSEPORT });
  const worker = await startWorker();
  await expect(call(worker, 'listen', { port, host: '127.0.0.1' })).rejects.toMatchObject({
    code: 'EADDRINUSE',
  });
});

test('shares follow the weights', async () => {
  const { workers, port } = await cast(SCHED_RR, 2, 'listen');
  workers[1].weight = 3;
  expect([workers[0].weight, workers[1].weight]).toEqual([1, 3]);
  // Until the first turn under the new weights begins.
  const ids = [];
  for (let i = 0; i < 40; i++) ids.push(await takerOf(port));
  expect(Math.abs(times(ids, workers[1]) - 30)).toBeLessThanOrEqual(1);
  expect(() => (workers[0].weight = 0)).toThrow(expect.objectContaining({ code: 'ERR_OUT_OF_RANGE' }));
});

test('a paused worker gets no new connections and keeps those it has', async () => {
  const { workers, port } = await cast(SCHED_RR, 2);
  const [paused, other] = workers;
  await stayTimes(2, port);
  expect(paused.pause()).toBe(paused);
  expect(paused.isPaused).toBe(true);
  expect(await stayTimes(4, port)).toEqual(Array(4).fill(other.id));
  expect(await call(paused, 'heldCount')).toBe(1);
  paused.resume();
  expect(new Set(await stayTimes(2, port))).toEqual(new Set([paused.id, other.id]));
});

test('while all are paused connections wait', async () => {
  const { workers, port } = await cast(SCHED_RR, 1);
  workers[0].pause();
  const waiting = stay(port);
  expect(await Promise.race([waiting, sleep(100)])).toBeUndefined();
  workers[0].resume();
  expect(await waiting).toBe(workers[0].id);
});

test('a worker tells its load', async () => {
  const { workers, port } = await cast(SCHED_RR, 1);
  const [worker] = workers;
  await stayTimes(3, port);
  sockets[0].destroy();
  await waitFor(() => worker.load.open === 2);
  const { adopted, open, closed, pending, utilization, silentFor } = worker.load;
  expect({ adopted, open, closed, pending }).toEqual({ adopted: 3, open: 2, closed: 1, pending: 0 });
  expect(utilization).toBeGreaterThanOrEqual(0);
  expect(utilization).toBeLessThanOrEqual(1);
  expect(silentFor).toBeLessThan(5000);
  expect(cluster.loads()[worker.id]).toMatchObject({ adopted: 3 });
});

test.each([
  ['SCHED_NONE', SCHED_NONE],
  ['SCHED_REUSEPORT', SCHED_REUSEPORT],
])('a worker that accepts for itself tells its load too (%s)', async (_, policy) => {
  const { workers, port } = await cast(policy, 2);
  const ids = await stayTimes(12, port);
  const countOf = (worker) => times(ids, worker);
  await waitFor(() => workers.every((worker) => worker.load.open === countOf(worker)));
  expect(workers.map(({ load }) => load.adopted)).toEqual(workers.map(countOf));
  for (const socket of sockets) socket.destroy();
  await waitFor(() => workers.every(({ load }) => load.open === 0));
  expect(workers.map(({ load }) => load.closed)).toEqual(workers.map(countOf));
  expect(workers.map(({ load }) => load.pending)).toEqual([0, 0]);
});

test('a worker tells its memory, until it has ended', async () => {
  const [worker] = await startWorkers(1);
  await waitFor(() => worker.load);
  const { rss, heapUsed } = worker.load;
  const memory = await call(worker, 'memoryUsage');
  expect(Math.abs(rss - memory.rss)).toBeLessThan(20e6);
  expect(Math.abs(heapUsed - memory.heapUsed)).toBeLessThan(10e6);
  await call(worker, 'useHeap', 40e6);
  await waitFor(() => worker.load.heapUsed > heapUsed + 30e6);
  expect(cluster.loads()[worker.id].rss).toBeGreaterThan(rss);
  await endAll();
  expect(worker.load.rss).toBe(0);
});

test('a stopped worker gets no new connections, and those on their way to it go to others', async () => {
  const { workers, port } = await cast(SCHED_RR, 2, 'listen');
  const [stopped, other] = workers;
  stopped.process.kill('SIGSTOP');
  const begun = performance.now();
  const early = Promise.all(Array.from({ length: 6 }, () => takerOf(port)));
  expect(new Set(await early)).toEqual(new Set([other.id]));
  // Found to be late with its turns, long before it is known to hang.
  expect(performance.now() - begun).toBeLessThan(800);
  expect(stopped.load.pending).toBe(0);
  await waitFor(() => stopped.load.silentFor >= 1000);
  // Now it is known: nobody waits for it.
  const begin = performance.now();
  for (let i = 0; i < 6; i++) expect(await takerOf(port)).toBe(other.id);
  expect(performance.now() - begin).toBeLessThan(450);
  stopped.process.kill('SIGCONT');
  await waitFor(() => stopped.load.silentFor < 500);
  await waitFor(async () => (await takerOf(port)) === stopped.id);
});

test('while workers crash at their start, new ones get nothing before they have lived a while', async () => {
  const { workers, port } = await cast(SCHED_RR, 1, 'listen');
  const startAnother = async () => {
    const worker = await startWorker();
    await listenAll([worker], 'listen');
    return worker;
  };
  for (let i = 0; i < 3; i++) {
    const crashing = await startAnother();
    await takerOf(port);
    call(crashing, 'exit', 1).catch(() => {});
    await waitFor(() => crashing.isDead());
  }
  const suspect = await startAnother();
  const ids = [];
  for (let i = 0; i < 6; i++) ids.push(await takerOf(port));
  expect(new Set(ids)).toEqual(new Set([workers[0].id]));
  await waitFor(async () => (await takerOf(port)) === suspect.id);
});

test('a policy by name, and none that there is not', async () => {
  for (const [name, policy] of [
    ['least-conn', SCHED_LEAST_CONN],
    ['least-load', SCHED_LEAST_LOAD],
    ['sticky', SCHED_STICKY],
    ['reuseport', SCHED_REUSEPORT],
    ['none', SCHED_NONE],
    ['rr', SCHED_RR],
  ]) {
    const { stdout } = await runScript(fixture('print_policy.cjs'), {
      env: { NODE_CLUSTER_SCHED_POLICY: name },
    });
    expect(Number(stdout)).toBe(policy);
  }
  expect(() => cluster.setupPrimary({ schedulingPolicy: 9 })).toThrow(
    expect.objectContaining({ code: 'ERR_INVALID_ARG_VALUE' }),
  );
});
