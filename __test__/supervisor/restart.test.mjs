// Workers that end are started again, by policy, with waits, and not for ever.

import { once } from 'node:events';

import { afterEach, expect, test } from 'vitest';

import { pids, start, started, stopAll } from '../helpers/supervisor.mjs';
import { isAlive } from '../helpers/process_state.mjs';
import { sleep, waitFor } from '../helpers/wait.mjs';

afterEach(stopAll);

test('a worker that is killed is replaced, and keeps its place', async () => {
  const { sup } = await started();
  const [first, second] = sup.workers;
  const restart = once(sup, 'restart');
  process.kill(first.pid, 'SIGKILL');
  const [worker, { delay, exit }] = await restart;
  expect(worker.id).toBe(first.id);
  expect(delay).toBe(0);
  expect(exit).toMatchObject({ pid: first.pid, code: null, signal: 'SIGKILL', wished: false });
  await once(sup, 'worker:ready');
  expect(sup.workers.map(({ id, state }) => [id, state])).toEqual([
    [1, 'ready'],
    [2, 'ready'],
  ]);
  expect(sup.workers[0]).toMatchObject({ restarts: 1, lastExit: { signal: 'SIGKILL' } });
  expect(sup.workers[1].pid).toBe(second.pid);
  expect(sup.status().restarts).toBe(1);
});

test('a worker knows its place by NODE_APP_INSTANCE, unless that is set', async () => {
  const all = await started();
  const seen = new Set();
  await waitFor(async () => seen.add((await all.get('/instance')).instance).size === 2);
  expect([...seen].sort()).toEqual(['0', '1']);
  const one = await started({ instances: 1, env: { NODE_APP_INSTANCE: 'own' } });
  expect((await one.get('/instance')).instance).toBe('own');
});

test('a crash at the start ends in one give-up that says why', async () => {
  const backoff = { min: 20, max: 100, jitter: 0 };
  const { sup } = await start({ instances: 2, intensity: 3, backoff, env: { MODE: 'crash' } });
  const delays = [];
  sup.on('restart', ({ id }, { delay }) => id === 1 && delays.push(delay));
  const giveUps = [];
  sup.on('giveUp', (info) => giveUps.push(info));
  await expect(sup.started).rejects.toMatchObject({
    code: 'ERR_RCLUSTER_GIVE_UP',
    message: expect.stringContaining('crashed at the start, on purpose'),
  });
  expect(await sup.stopped).toMatchObject({ reason: 'giveUp' });
  expect(delays.slice(0, 2)).toEqual([20, 40]);
  expect(giveUps).toHaveLength(1);
  expect(giveUps[0]).toMatchObject({ scope: 'app', restarts: 3 });
  expect(giveUps[0].reason).toContain('exited with code 1 before it was ready');
  expect(giveUps[0].stderr).toContain('crashed at the start, on purpose');
  expect(sup.workers.every(({ state, pid }) => state === 'stopped' && pid === undefined)).toBe(true);
});

test('a worker that was given up is started again by restart(), as the others go on', async () => {
  const backoff = { min: 0, max: 0 };
  const { sup, get } = await started({ instances: 2, intensity: 1, appIntensity: 100, backoff });
  const victim = () => sup.workers.find(({ id }) => id === 1);
  const givenUp = once(sup, 'giveUp');
  for (let kill = 0; kill < 2; kill++) {
    await waitFor(() => victim().state === 'ready');
    process.kill(victim().pid, 'SIGKILL');
    await once(sup, 'worker:exit');
  }
  expect((await givenUp)[0]).toMatchObject({ scope: 'worker', worker: 1 });
  expect(victim().state).toBe('stopped');
  await sup.restart(1);
  expect(victim().state).toBe('ready');
  process.kill(victim().pid, 'SIGKILL');
  // So soon it is too often; what matters is that it is looked after at all.
  expect((await once(sup, 'giveUp'))[0]).toMatchObject({ worker: 1 });
  expect((await get('/')).status).toBe(200);
});

test('a worker whose policy says so is not started again', async () => {
  const { sup, get } = await started({ instances: 1, restart: 'transient' });
  const before = pids(sup)[0];
  await get('/exit?code=3');
  await once(sup, 'worker:ready');
  expect(pids(sup)[0]).not.toBe(before);
  await get('/exit?code=0');
  expect(await sup.stopped).toEqual({ reason: 'finished' });
});

test.each([
  ['an error that nobody caught', 'temporary', (_, get) => get('/throw')],
  ['SIGTERM', 'transient', (pid) => process.kill(pid, 'SIGTERM')],
])('workers that finish what they have begun, and are not started again: %s', async (_, restart, end) => {
  const { sup, get } = await started({ instances: 1, restart });
  const slow = get('/slow?ms=300');
  await sleep(50);
  await end(pids(sup)[0], get);
  expect((await slow).status).toBe(200);
  expect(await sup.stopped).toEqual({ reason: 'finished' });
});

test('a stop that still serves is over when nobody is left to', async () => {
  const { sup, get } = await started({ instances: 1, restart: 'temporary', drainDelay: 60_000 });
  const outcomes = [];
  sup.on('stopped', (outcome) => outcomes.push(outcome));
  const stopped = sup.stop();
  await get('/exit?code=0');
  await stopped;
  expect(sup.state).toBe('stopped');
  expect(outcomes).toEqual([{ reason: 'finished' }]);
});

test('a temporary worker is started once', async () => {
  const { sup, get } = await started({ restart: 'temporary' });
  await get('/exit?code=1');
  await once(sup, 'worker:exit');
  expect(sup.workers.filter(({ state }) => state === 'ready')).toHaveLength(1);
  await get('/exit?code=1');
  expect(await sup.stopped).toEqual({ reason: 'finished' });
});

test('what a worker that would not end has started is killed with it', async () => {
  const { sup, get } = await started({ instances: 1, stopTimeout: 300 });
  const [worker] = pids(sup);
  const child = (await get('/child')).pid;
  await get('/stubborn');
  await sup.stop();
  await waitFor(() => !isAlive(worker) && !isAlive(child));
});

test('a stop while workers start leaves none', async () => {
  const { sup } = await start({ instances: 3 });
  await sup.stop();
  await expect(sup.started).rejects.toMatchObject({ code: 'ERR_RCLUSTER_STOPPED' });
  expect(sup.workers.every(({ state }) => state === 'stopped')).toBe(true);
});
