// What signals do to an app that runs.

import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { afterEach, expect, test } from 'vitest';

import { endCommands, startApp } from '../helpers/command.mjs';
import { isAlive } from '../helpers/process_state.mjs';
import { waitFor } from '../helpers/wait.mjs';

afterEach(endCommands);

/** An app that takes its time: a request is answered once the file `go` is there. */
const SLOW = `
const fs = require('node:fs');
require('node:http').createServer((request, response) => {
  if (request.url === '/ready') return response.end('yes');
  console.log('taken');
  const timer = setInterval(() => {
    if (!fs.existsSync('go')) return;
    clearInterval(timer);
    response.end('answered');
  }, 10);
}).listen(Number(process.env.PORT));`;

const pidsOf = async (app) => (await app.status()).workers.map(({ pid }) => pid);

test.each(['SIGTERM', 'SIGINT', 'SIGQUIT'])('%s drains: what has begun is finished', async (signal) => {
  const app = await startApp(['-w', '1'], { files: { 'app.js': SLOW } });
  const answer = app.get('/slow');
  await waitFor(() => app.command.stdout.includes('taken'));
  app.kill(signal);
  await waitFor(async () => (await app.status()).state === 'stopping');
  // Nobody new is let in.
  await waitFor(() =>
    app.get('/ready').then(
      () => false,
      () => true,
    ),
  );
  writeFileSync(join(app.cwd, 'go'), '');
  expect(await answer).toBe('answered');
  expect(await app.command.finished).toMatchObject({ code: 0 });
});

test('a second one ends it at once, and the exit code tells', async () => {
  const app = await startApp(['-w', '1'], { files: { 'app.js': SLOW } });
  const [pid] = await pidsOf(app);
  app.get('/slow').catch(() => {});
  await waitFor(() => app.command.stdout.includes('taken'));
  app.kill('SIGTERM');
  await waitFor(async () => (await app.status()).state === 'stopping');
  app.kill('SIGINT');
  expect(await app.command.finished).toMatchObject({ code: 130, signal: null });
  expect(isAlive(pid)).toBe(false);
});

test('Ctrl-C, which all processes of a terminal get, drains too', async () => {
  const app = await startApp(['-w', '2']);
  process.kill(-app.command.pid, 'SIGINT');
  const { code, stderr } = await app.command.finished;
  expect(code).toBe(0);
  expect(stderr).not.toMatch(/SIGINT|code 130|started again/);
});

test('SIGTERM, which a service manager may send to all processes, drains too', async () => {
  const app = await startApp(['-w', '2']);
  process.kill(-app.command.pid, 'SIGTERM');
  const { code, stderr } = await app.command.finished;
  expect(code).toBe(0);
  expect(stderr).not.toMatch(/started again/);
});

test('SIGHUP reloads', async () => {
  const app = await startApp(['-w', '2']);
  const before = await pidsOf(app);
  app.kill('SIGHUP');
  await waitFor(async () => (await app.status()).reloads === 1);
  for (const pid of await pidsOf(app)) expect(before).not.toContain(pid);
});

test('SIGTTIN starts a worker, SIGTTOU stops one but the last', async () => {
  const app = await startApp(['-w', '1']);
  const becomes = (count) =>
    waitFor(async () => {
      const { instances, workers } = await app.status();
      return (
        instances === count && workers.length === count && workers.every(({ state }) => state === 'ready')
      );
    });
  app.kill('SIGTTIN');
  await becomes(2);
  app.kill('SIGTTOU');
  await becomes(1);
  app.kill('SIGTTOU');
  // An answer comes after the signal has been dealt with; two signals at once come in the order of their numbers.
  await becomes(1);
  app.kill('SIGTTIN');
  await becomes(2);
});

test('SIGUSR1 opens the log files anew, and no debugger', async () => {
  const app = await startApp(['-w', '1', '--log-file', 'out.log']);
  const file = join(app.cwd, 'out.log');
  const text = () => (existsSync(file) ? readFileSync(file, 'utf8') : '');
  await app.get('/print');
  await waitFor(() => text().includes('1 | printed\n'));
  renameSync(file, `${file}.1`);
  app.kill('SIGUSR1');
  await waitFor(() => existsSync(file));
  await app.get('/print');
  await waitFor(() => text() === '1 | printed\n');
  expect(app.command.stdout + app.command.stderr).toBe('');
});

test('others go to the workers that listen for them', async () => {
  const listening = `process.on('SIGUSR2', () => console.log('heard', process.pid));\n`;
  const server = `require('node:http').createServer().listen(Number(process.env.PORT));`;
  const app = await startApp(['-w', '2'], { files: { 'app.js': listening + server } });
  const pids = await pidsOf(app);
  app.kill('SIGUSR2');
  await waitFor(() => pids.every((pid) => app.command.stdout.includes(`heard ${pid}`)));

  const deaf = await startApp(['-w', '1'], { files: { 'app.js': server } });
  const [pid] = await pidsOf(deaf);
  deaf.kill('SIGUSR2');
  deaf.kill('SIGHUP');
  // By then the first one has been dealt with.
  await waitFor(async () => (await deaf.status()).reloads === 1);
  expect(deaf.command.stderr).toContain(`(pid ${pid}) exited with code 0: reload`);
});
