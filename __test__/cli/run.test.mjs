// An ordinary app, run and steered.

import { existsSync } from 'node:fs';

import { afterEach, describe, expect, test } from 'vitest';

import { APP, endCommands, startApp } from '../helpers/command.mjs';
import { isAlive } from '../helpers/process_state.mjs';

afterEach(endCommands);

test('an app runs, reloads, scales and stops, and each command returns when that is done', async () => {
  const app = await startApp(['-w', '2'], { appArgs: ['--name', 'x', '--json'] });
  expect(JSON.parse(await app.get('/args'))).toEqual(['--name', 'x', '--json']);

  const first = await app.status();
  expect(first).toMatchObject({ pid: app.command.pid, state: 'running', instances: 2, cwd: app.cwd });
  expect(first.workers).toMatchObject([
    { id: 1, state: 'ready', restarts: 0 },
    { id: 2, state: 'ready', restarts: 0 },
  ]);
  const pids = first.workers.map(({ pid }) => pid);
  expect(pids).toContain(Number(await app.get()));

  const reloaded = await app.steer('reload');
  expect(reloaded).toMatchObject({ code: 0, stdout: expect.stringMatching(/^reloaded: 2 workers replaced/) });
  const second = await app.status();
  expect(second.workers.map(({ state }) => state)).toEqual(['ready', 'ready']);
  for (const { pid } of second.workers) expect(pids).not.toContain(pid);
  expect(pids.some(isAlive)).toBe(false);

  expect(await app.steer('scale', '3')).toMatchObject({ code: 0, stdout: 'scaled: 3 workers\n' });
  expect((await app.status()).workers).toHaveLength(3);
  const scaled = await app.steer('scale', '1', '--json');
  expect(JSON.parse(scaled.stdout).workers).toMatchObject([{ id: 1, state: 'ready' }]);

  const [{ pid }] = (await app.status()).workers;
  expect(await app.steer('stop')).toMatchObject({ code: 0, stdout: `stopped: pid ${app.command.pid}\n` });
  // It was waited for.
  expect(isAlive(app.command.pid)).toBe(false);
  expect(isAlive(pid)).toBe(false);
  expect(await app.command.finished).toMatchObject({ code: 0, signal: null });
  expect(existsSync(first.control)).toBe(false);
  const gone = await app.steer('status');
  expect(gone).toMatchObject({ code: 1, stdout: '' });
  expect(gone.stderr).toMatch(/^rcluster: nothing runs in \S+: .+\n$/);
});

test('status is a table for people', async () => {
  const app = await startApp(['-w', '1', '--name', 'shop']);
  const { stdout } = await app.steer('status');
  expect(stdout).toMatch(/^shop: pid \d+, running, up \d+s, 0 restarts, 0 reloads\nid +pid +state/);
  expect(stdout).toMatch(/\n 1 +\d+ +ready /);
});

test('a worker that dies is replaced, and its end is told', async () => {
  const app = await startApp(['-w', '1']);
  await app.get('/die').catch(() => {});
  await expect
    .poll(async () => (await app.status()).workers[0], { timeout: 5000 })
    .toMatchObject({
      state: 'ready',
      restarts: 1,
      lastExit: { code: 3 },
    });
});

test('--control names the socket, on either side', async () => {
  const app = await startApp(['-w', '1', '--control', './here.sock'], { isReady: false });
  await expect
    .poll(() => app.steer('status', '--control', 'here.sock'), { timeout: 10_000 })
    .toMatchObject({ code: 0 });
  expect(await app.steer('status')).toMatchObject({ code: 1 });
  expect(await app.steer('--control', 'here.sock', 'stop', '--json')).toMatchObject({ code: 0 });
  expect(existsSync(`${app.cwd}/here.sock`)).toBe(false);
});

const ESM = APP.replace("const http = require('node:http');", "import http from 'node:http';");
const TYPESCRIPT = `${ESM}\nconst typed: number = 1;\nexport { typed };`;
const canTypeScript = Boolean(process.features.typescript);

describe('an app may be', () => {
  test.each([
    ['CommonJS', 'app.cjs', APP],
    ['an ES module', 'app.mjs', ESM],
    ['a directory', 'src/index.js', APP, 'src'],
    ['named without its ending', 'app.js', APP, 'app'],
  ])('%s', async (_name, file, text, script = file) => {
    const app = await startApp(['-w', '1'], { files: { [file]: text }, script });
    expect(await app.get()).toMatch(/^\d+$/);
  });

  test.skipIf(!canTypeScript)('TypeScript, where Node runs it', async () => {
    const app = await startApp(['-w', '1'], { files: { 'app.mts': TYPESCRIPT }, script: 'app.mts' });
    expect(await app.get()).toMatch(/^\d+$/);
  });
});

test('its child_process and cluster are ours, and so is its language line', async () => {
  const text = `
    const { ChildProcess, spawnSync } = require('node:child_process');
    const cluster = require('node:cluster');
    require('node:http').createServer((request, response) => {
      response.end(JSON.stringify({ ours: 'killTree' in ChildProcess.prototype, native: cluster.native, execArgv: process.execArgv }));
    }).listen(process.env.PORT);`;
  const app = await startApp(['-w', '1', '--node-arg=--expose-gc'], { files: { 'app.js': text } });
  const seen = JSON.parse(await app.get());
  expect(seen).toMatchObject({ ours: true, native: true });
  expect(seen.execArgv).toContain('--expose-gc');
});
