// What workers share, and how many there are.

import { once } from 'node:events';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

import { afterEach, expect, test } from 'vitest';

import { cluster, pids, started, stopAll } from '../helpers/supervisor.mjs';
import { isAlive } from '../helpers/process_state.mjs';
import { fixture } from '../helpers/run_script.mjs';
import { sleep, waitFor } from '../helpers/wait.mjs';

const KILLS = Number(process.env.RCLUSTER_TEST_ROUNDS ?? 8);

afterEach(stopAll);

test('a value that one worker sets is what the others and the primary get', async () => {
  const { sup, get } = await started();
  await get('/set?key=colour&value=blue');
  for (let turn = 0; turn < 4; turn++) expect((await get('/get?key=colour')).value).toBe('blue');
  expect(sup.store.get('colour')).toBe('blue');
  sup.store.set('brief', 1, { ttl: 50 });
  await waitFor(() => !sup.store.has('brief'));
});

test('a lock has one holder, and is free again when that has ended', async () => {
  const { sup, get } = await started();
  const first = await get('/lock?name=job');
  expect(first.token).toBeGreaterThan(0);
  for (let turn = 0; turn < 3; turn++) expect((await get('/lock?name=job')).token).toBeUndefined();
  const waiting = get('/lock?name=job&wait').catch(() => undefined);
  await sleep(100);
  const before = pids(sup);
  for (const pid of before) process.kill(pid, 'SIGKILL');
  await waiting;
  await waitFor(() => pids(sup).length === 2 && !pids(sup).some((pid) => before.includes(pid)));
  expect((await get('/lock?name=job')).token).toBeGreaterThan(first.token);
});

test('a lock that is not renewed is lost after its lease', async () => {
  const { get } = await started({ instances: 1 });
  const { token } = await get('/lock?name=brief&lease=200&once');
  expect((await get('/lock?name=brief')).token).toBeUndefined();
  const next = await get('/lock?name=brief&wait');
  expect(next.token).toBe(token + 1);
});

test('one worker leads, and another when that has ended', async () => {
  const { sup, get } = await started();
  const { id: first, pid } = sup.workers.find(({ leader }) => leader);
  expect(sup.leader).toBe(first);
  const second = 3 - first;
  const elected = once(sup, 'leader');
  process.kill(pid, 'SIGKILL');
  await elected;
  await waitFor(() => pids(sup).length === 2 && !pids(sup).includes(pid));
  expect(sup.workers.filter(({ leader }) => leader)).toHaveLength(1);
  expect(sup.leader).toBe(second);
  const seen = new Map();
  await waitFor(async () => {
    const answer = await get('/');
    seen.set(answer.place, answer.isLeader);
    return seen.size === 2;
  });
  expect(Object.fromEntries(seen)).toEqual({ [first]: false, [second]: true });
});

test(
  'whoever is killed at whatever moment: one holder, one leader, and the others go on',
  { timeout: 600_000 },
  async () => {
    const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'rcluster-contending-'));
    const lines = (name) => {
      const file = path.join(directory, name);
      return fs.existsSync(file) ? fs.readFileSync(file, 'latin1').trimEnd().split('\n') : [];
    };
    try {
      const { sup } = await started({
        exec: fixture('supervisor/contending.cjs'),
        instances: 3,
        waitReady: true,
        env: { DIRECTORY: directory },
        intensity: 1e6,
        backoff: { min: 0, max: 10 },
      });
      for (let kill = 0; kill < KILLS; kill++) {
        const before = sup.store.get('turns') ?? 0;
        const all = pids(sup);
        const victim = kill % 2 ? sup.workers.find(({ leader }) => leader)?.pid : all[kill % all.length];
        await sleep(Math.random() * 20);
        // Now and then all of them go in order.
        if (kill % 4 === 3) await sup.reload();
        else if (victim !== undefined) process.kill(victim, 'SIGKILL');
        await waitFor(() => sup.store.get('turns') > before + 5 && !pids(sup).includes(victim), {
          what: () => `going on after kill ${kill}: ${sup.store.get('turns')} turns, ${before} before`,
          timeout: 15_000,
        });
      }
      await waitFor(() => pids(sup).length === 3, { timeout: 15_000 });
      expect(lines('violations')).toEqual([]);
      const tokens = lines('tokens').map(Number);
      expect(tokens).toEqual(tokens.toSorted((a, b) => a - b));
      expect(new Set(tokens).size).toBe(tokens.length);
      // One turn for each token, but for those that were killed in it.
      expect(tokens.length - sup.store.get('turns')).toBeLessThanOrEqual(KILLS + 1);
      const alive = () =>
        sup.store
          .keys()
          .filter((key) => key.startsWith('alive'))
          .sort();
      await waitFor(
        () =>
          `${alive()}` ===
          `${pids(sup)
            .map((pid) => `alive ${pid}`)
            .sort()}`,
      );
    } finally {
      await stopAll();
      fs.rmSync(directory, { recursive: true });
    }
  },
);

test('the policy is the one that is asked for', async () => {
  const [SCHED_RR, SCHED_STICKY] = [cluster.SCHED_RR, cluster.SCHED_STICKY];
  const answering = async (schedulingPolicy) => {
    const { get } = await started({ schedulingPolicy });
    const answers = await Promise.all(Array.from({ length: 20 }, () => get('/')));
    return new Set(answers.map(({ pid }) => pid)).size;
  };
  expect(await answering(SCHED_STICKY)).toBe(1);
  expect(await answering(SCHED_RR)).toBe(2);
  await expect(started({ schedulingPolicy: 99 })).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_VALUE' });
});

test('there are as many workers as are asked for', async () => {
  const { sup, get } = await started({ instances: 1 });
  const [first] = pids(sup);
  expect(await sup.scale(3)).toBe(3);
  expect(pids(sup)).toHaveLength(3);
  expect(await sup.scale(1)).toBe(1);
  expect(pids(sup)).toEqual([first]);
  expect((await get('/')).status).toBe(200);
  await expect(sup.scale(0)).rejects.toMatchObject({ code: 'ERR_OUT_OF_RANGE' });
  expect(sup.workers).toHaveLength(1);
});

test('a worker that is no longer wanted finishes what it has begun', async () => {
  const { sup, get } = await started();
  const [first] = pids(sup);
  const slow = Array.from({ length: 8 }, () => get('/slow?ms=400'));
  await sleep(100);
  await sup.scale(1);
  const answers = await Promise.all(slow);
  expect(answers.map(({ status }) => status)).toEqual(slow.map(() => 200));
  expect(answers.some(({ pid }) => pid !== first)).toBe(true);
});

test.each([
  ['stop() ends it', (sup) => sup.stop({ timeout: 500 })],
  ['kill() kills it', (sup) => (sup.kill(), sup.stopped)],
])('a worker that is no longer wanted, and does not end, is not forgotten: %s', async (_, end) => {
  const { sup, get } = await started();
  const all = pids(sup);
  await waitFor(async () => (await get('/stubborn')).place === 2);
  const scaled = sup.scale(1);
  await end(sup);
  expect(all.filter(isAlive)).toEqual([]);
  await scaled;
});

test('a rule starts workers while those that run are busy, and ends them again', async () => {
  const scale = { min: 1, max: 2, target: 0.2, upAfter: 300, downAfter: 500 };
  const { sup, get } = await started({ instances: 1, scale });
  const load = { isOver: false };
  const clients = Array.from({ length: 12 }, async () => {
    while (!load.isOver) await get('/');
  });
  const [{ from, to, by, utilization }] = await once(sup, 'scale');
  expect({ from, to, by }).toEqual({ from: 1, to: 2, by: 'rule' });
  expect(utilization).toBeGreaterThan(0.2);
  await waitFor(() => pids(sup).length === 2);
  load.isOver = true;
  await Promise.all(clients);
  expect((await once(sup, 'scale'))[0]).toMatchObject({ from: 2, to: 1, by: 'rule' });
}, 30_000);

test('numbers of all workers, and their sums, which do not go back when a worker ends', async () => {
  const { sup, get } = await started();
  for (let turn = 0; turn < 10; turn++) await get('/');
  await waitFor(() => sup.metrics().total.requests.total >= 10);
  const before = sup.metrics({ pss: true });
  for (const worker of before.workers) {
    expect(worker.rss).toBeGreaterThan(2 ** 24);
    expect(worker.pss).toBeLessThanOrEqual(worker.rss);
    expect(worker.heap.used).toBeGreaterThan(2 ** 20);
    expect(worker.heap.limit).toBeGreaterThan(worker.heap.used);
    expect(worker.cpu.user + worker.cpu.system).toBeGreaterThan(0);
  }
  expect(before.total.connections.total).toBe(10);
  expect(before.supervisor.workers.ready).toBe(2);
  await sup.reload();
  const after = sup.metrics();
  expect(after.total.requests.total).toBeGreaterThanOrEqual(10);
  expect(after.total.connections.total).toBeGreaterThanOrEqual(10);
  expect(after.total.cpu.user).toBeGreaterThanOrEqual(before.total.cpu.user);
});
