// What may befall an application under load: what the documents promise is what is seen.

import { once } from 'node:events';

import { afterEach, expect, test } from 'vitest';

import { pids, started, stopAll } from '../helpers/supervisor.mjs';
import { fixture, startScript } from '../helpers/run_script.mjs';
import { openFds } from '../helpers/process_state.mjs';
import { sleep, waitFor } from '../helpers/wait.mjs';

/** Of workers that end at once, and of Node's, whose starts take their time. */
const RESTARTS = process.env.RCLUSTER_TORTURE ? 100_000 : 800;
const NODE_RESTARTS = process.env.RCLUSTER_TORTURE ? 2000 : 16;

afterEach(stopAll);

test('each worker killed in turn under load: only what a killed worker was at is lost', async () => {
  const { sup, get } = await started({ instances: 2 });
  const load = { isOver: false };
  const lost = [];
  let answered = 0;
  const clients = Array.from({ length: 8 }, async () => {
    while (!load.isOver) {
      await get('/').then(
        () => answered++,
        ({ code }) => lost.push(code),
      );
    }
  });
  for (const { id, pid } of sup.workers) {
    await sleep(200);
    process.kill(pid, 'SIGKILL');
    await waitFor(() =>
      sup.workers.some((worker) => worker.id === id && worker.pid !== pid && worker.state === 'ready'),
    );
  }
  load.isOver = true;
  await Promise.all(clients);
  // Each kill costs at most what each client had in the hands of the one that was killed.
  expect(lost.length).toBeLessThanOrEqual(2 * 8);
  expect(lost.filter((code) => code !== 'ECONNRESET' && code !== 'EPIPE')).toEqual([]);
  expect(answered).toBeGreaterThan(20);
}, 30_000);

test('workers that write without end hold nobody up', async () => {
  const script = startScript(fixture('supervisor/chatty_primary.cjs'), { timeout: 20_000 });
  let bytes = 0;
  script.child.stdout.removeAllListeners('data');
  script.child.stdout.on('data', (data) => (bytes += data.length));
  await waitFor(() => script.stderr.includes('latency'), { timeout: 15_000 });
  const { code } = await script.finished;
  expect(code).toBe(0);
  // 100 MB and more, past the supervisor, whose loop goes on turning.
  expect(bytes).toBeGreaterThan(100 * 2 ** 20);
  expect(Number(/latency (\d+)/.exec(script.stderr)[1])).toBeLessThan(1000);
}, 30_000);

test('restarts by the hundred leave nothing behind', { timeout: 3e6 }, async () => {
  const script = startScript(fixture('supervisor/restarts.cjs'), {
    args: [`${RESTARTS}`, '20'],
    execArgv: ['--expose-gc'],
    timeout: 3e6,
  });
  const { stdout, code } = await script.finished;
  expect(code).toBe(0);
  const seen = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  const last = seen.at(-1);
  expect(last.restarts).toBeGreaterThanOrEqual(RESTARTS - 4);
  expect(last).toMatchObject({ zombies: 0, maps: 0, threads: seen[0].threads });
  // V8's heap has its size after a quarter of many of them.
  expect(last.rss).toBeLessThan(seen[4].rss + (RESTARTS > 10_000 ? 16 : 32));
  expect(last.fds).toBeLessThanOrEqual(Math.min(...seen.map(({ fds }) => fds)));
});

test(
  'restarts leave nothing behind in the primary',
  async () => {
    const { sup } = await started({
      exec: fixture('supervisor/brief.cjs'),
      instances: 2,
      waitReady: 'online',
      intensity: 1e6,
      backoff: { min: 0, max: 0, jitter: 0 },
    });
    const restarts = () => sup.status().restarts;
    await waitFor(() => restarts() >= NODE_RESTARTS / 4, { timeout: 3e6 });
    const fds = openFds().size;
    const rss = process.memoryUsage.rss();
    await waitFor(() => restarts() >= NODE_RESTARTS, { timeout: 3e6 });
    expect(openFds().size).toBeLessThanOrEqual(fds + 10);
    expect(process.memoryUsage.rss()).toBeLessThan(rss + 48 * 2 ** 20);
    expect(sup.workers).toHaveLength(2);
  },
  process.env.RCLUSTER_TORTURE ? 3e6 : 60_000,
);

test('a reload while workers are killed ends one way or the other, and all serve', async () => {
  const { sup, get } = await started({ intensity: 1000, backoff: { min: 1, max: 10 } });
  for (let turn = 0; turn < 3; turn++) {
    const reload = sup.reload().catch(({ code }) => expect(code).toBe('ERR_RCLUSTER_RELOAD'));
    for (let kill = 0; kill < 3; kill++) {
      await sleep(40);
      const [pid] = sup.workers.map(({ pid }) => pid).filter((pid) => pid !== undefined);
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // It has ended meanwhile.
      }
    }
    await reload;
  }
  await waitFor(() => pids(sup).length === 2 && sup.workers.length === 2);
  expect((await get('/')).status).toBe(200);
  const stopped = once(sup, 'stopped');
  await sup.stop();
  expect((await stopped)[0]).toEqual({ reason: 'stop' });
}, 30_000);
