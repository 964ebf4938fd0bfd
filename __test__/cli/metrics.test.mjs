// What can be seen of an app by HTTP, while it works and while it hangs.

import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createRequire } from 'node:module';

import { afterEach, expect, test } from 'vitest';

import { APP, BIN, endCommands, startApp } from '../helpers/command.mjs';
import { waitFor } from '../helpers/wait.mjs';

afterEach(endCommands);

const promClient = JSON.stringify(createRequire(import.meta.url).resolve('prom-client'));
const COUNTING = `
const { Counter } = require(${promClient});
const counter = new Counter({ name: 'shop_orders_total', help: 'orders', labelNames: ['kind'] });
require('node:http').createServer((request, response) => {
  counter.inc({ kind: 'book' });
  if (request.url === '/hang') for (;;);
  if (request.url === '/die') setImmediate(() => process.exit(1));
  response.end('ok');
}).listen(Number(process.env.PORT));`;

/** The value of a series. @param {string} text @param {string} series */
function valueOf(text, series) {
  const line = text.split('\n').find((line) => line.startsWith(`${series} `));
  return line && Number(line.slice(series.length + 1));
}

async function metricsOf(app) {
  const { http } = await app.status();
  return await (await fetch(`${http}metrics`)).text();
}

test('workers are counted, and so is what prom-client counts in all of them', async () => {
  const app = await startApp(['-w', '2', '--http', '0'], { files: { 'app.js': COUNTING } });
  for (let i = 0; i < 10; i++) await app.get();
  const text = await metricsOf(app);
  expect(valueOf(text, 'shop_orders_total{kind="book"}')).toBe(10);
  expect(valueOf(text, 'rcluster_workers{state="ready"}')).toBe(2);
  for (const worker of [1, 2]) {
    expect(valueOf(text, `rcluster_worker_resident_memory_bytes{worker="${worker}"}`)).toBeGreaterThan(
      1 << 20,
    );
    expect(valueOf(text, `rcluster_worker_uptime_seconds{worker="${worker}"}`)).toBeLessThan(60);
  }
  // What a worker that has ended had counted is not lost, once it was told.
  await app.steer('reload');
  await app.get();
  expect(valueOf(await metricsOf(app), 'shop_orders_total{kind="book"}')).toBe(11);
});

test('health and metrics are there while every worker hangs', async () => {
  const app = await startApp(['-w', '2', '--http', '0', '--hang-timeout', '0'], {
    files: { 'app.js': COUNTING },
  });
  await app.get();
  await metricsOf(app);
  const { http, workers } = await app.status();
  for (let i = 0; i < 2; i++) fetch(`http://127.0.0.1:${app.port}/hang`).catch(() => {});
  const silent = (text, id) => valueOf(text, `rcluster_worker_event_loop_silent_seconds{worker="${id}"}`);
  await waitFor(
    async () => {
      const text = await metricsOf(app);
      return workers.every(({ id }) => silent(text, id) > 0.5);
    },
    { timeout: 10_000 },
  );
  const text = await metricsOf(app);
  expect(valueOf(text, 'shop_orders_total{kind="book"}')).toBe(1);
  expect((await fetch(`${http}livez`)).status).toBe(200);
  expect(await app.steer('stop', '--force')).toMatchObject({ code: 0 });
});

test('ready means that a worker is', async () => {
  const slow = `setTimeout(() => {${APP}}, 500)`;
  const app = await startApp(['-w', '1', '--http', '0', '--drain-delay', '1s'], {
    files: { 'app.js': slow },
    isReady: false,
  });
  await waitFor(async () => (await app.steer('status')).code === 0, { timeout: 10_000 });
  const { http } = await app.status();
  const ready = async () => (await fetch(`${http}readyz`)).status;
  expect(await ready()).toBe(503);
  await expect.poll(ready, { timeout: 10_000 }).toBe(200);
  app.kill('SIGTERM');
  await expect.poll(ready).toBe(503);
  // Kubernetes' order: unready, and still serving.
  expect(await app.get()).toMatch(/^\d+$/);
  expect(await app.command.finished).toMatchObject({ code: 0 });
});

test('top shows a table, once where nobody watches, and JSON', async () => {
  const app = await startApp(['-w', '2']);
  const { stdout, code } = await app.steer('top');
  expect(code).toBe(0);
  expect(stdout).toMatch(/^app: running, pid \d+, .*2 of 2 ready/);
  expect(stdout).toMatch(/^ 2 +\d+ +ready +.*[▁▂▃▄▅▆▇█] +\d+%/m);
  const json = await app.steer('top', '--json', '--count', '2');
  const answers = json.stdout.trimEnd().split('\n').map(JSON.parse);
  expect(answers).toHaveLength(2);
  expect(answers[1]).toMatchObject({
    status: { state: 'running' },
    metrics: { workers: [{ id: 1 }, { id: 2 }] },
  });
});

const hasTerminals = spawnSync('script', ['--version']).status === 0;

test.skipIf(!hasTerminals)(
  'top on a terminal is live, ends with q, and leaves the terminal as it was',
  async () => {
    const app = await startApp(['-w', '1']);
    const command = `'${process.execPath}' '${BIN}' top`;
    const top = spawn('script', ['-qec', command, '/dev/null'], { cwd: app.cwd });
    let shown = '';
    top.stdout.setEncoding('utf8').on('data', (text) => (shown += text));
    const refreshes = () => shown.split('\u001b[H\u001b[J').length - 1;
    await waitFor(() => refreshes() >= 2, { timeout: 10_000 });
    top.stdin.write('q');
    const [code] = await once(top, 'exit');
    expect(code).toBe(0);
    expect(shown.startsWith('\u001b[?1049h\u001b[?25l')).toBe(true);
    expect(shown).toMatch(/q quits/);
    expect(shown.trimEnd().endsWith('\u001b[?25h\u001b[?1049l')).toBe(true);
  },
);
