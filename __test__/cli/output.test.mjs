// What an app prints, where it goes and how it is read.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { afterEach, expect, test } from 'vitest';

import { APP, endCommands, start, startApp } from '../helpers/command.mjs';
import { waitFor } from '../helpers/wait.mjs';

afterEach(endCommands);

const NOISY = `
console.log('to stdout');
console.error('to stderr');
${APP}`;

test('each line is labelled with its worker, and goes to the stream it was printed to', async () => {
  const app = await startApp(['-w', '2'], { files: { 'app.js': NOISY } });
  const sorted = (text) => text.trimEnd().split('\n').sort();
  await waitFor(() => sorted(app.command.stdout).length === 2);
  expect(sorted(app.command.stdout)).toEqual(['1 | to stdout', '2 | to stdout']);
  expect(app.command.stderr).toContain('1 | to stderr\n');
  expect(app.command.stderr).toMatch(/^rcluster \| worker 1 \(pid \d+\) is ready/m);
});

test.each([['--json'], ['--log-format=json']])('%s: each line is JSON', async (flag) => {
  const app = await startApp(['-w', '1', flag], { files: { 'app.js': NOISY } });
  await waitFor(() => app.command.stdout.includes('\n'));
  const [line] = app.command.stdout.trimEnd().split('\n').map(JSON.parse);
  expect(line).toEqual({ time: expect.any(String), worker: 1, stream: 'stdout', line: 'to stdout' });
  expect(Math.abs(Date.parse(line.time) - Date.now())).toBeLessThan(60_000);
  const lines = app.command.stderr.trimEnd().split('\n').map(JSON.parse);
  expect(lines).toContainEqual(expect.objectContaining({ worker: null, stream: 'stderr' }));
});

test('with "inherit" the app prints as if it were alone', async () => {
  const app = await startApp(['-w', '1', '--log-format', 'inherit'], { files: { 'app.js': NOISY } });
  await waitFor(() => app.command.stdout === 'to stdout\n');
  expect(app.command.stderr).toContain('to stderr\n');
  expect(await app.steer('logs')).toMatchObject({ code: 1, stderr: expect.stringContaining('inherit') });
});

test('logs prints what there was, and with -f what comes, until Ctrl-C', async () => {
  const app = await startApp(['-w', '1'], { files: { 'app.js': NOISY } });
  const { stdout, stderr, code } = await app.steer('logs');
  expect(stdout).toBe('1 | to stdout\n');
  expect(stderr).toContain('1 | to stderr\n');
  expect(code).toBe(0);
  expect((await app.steer('logs', '--lines', '1', '--worker', '1', '--json')).code).toBe(0);

  const following = start(['logs', '-f', '--json'], { cwd: app.cwd });
  await waitFor(() => following.stdout.includes('to stdout'));
  await app.get('/print');
  await waitFor(() => following.stdout.includes('printed'));
  expect(JSON.parse(following.stdout.trimEnd().split('\n').at(-1))).toMatchObject({
    worker: 1,
    line: 'printed',
  });
  process.kill(following.pid, 'SIGINT');
  expect(await following.finished).toMatchObject({ code: 0 });

  const ended = start(['logs', '-f'], { cwd: app.cwd });
  await waitFor(() => ended.stdout.includes('to stdout'));
  await app.steer('stop');
  // The instance has gone in the middle of it.
  expect(await ended.finished).toMatchObject({ code: 1 });
});

test('nothing is lost of what is printed last, not even of a crash', async () => {
  const text = `
    for (let i = 0; i < 2000; i++) console.log('line', i);
    console.error('Error: last words');
    process.exit(1);`;
  const app = await startApp(['-w', '1', '--restart', 'temporary', '--log-file', 'all.log'], {
    files: { 'app.js': text },
    isReady: false,
  });
  await app.command.finished;
  const lines = readFileSync(join(app.cwd, 'all.log'), 'utf8').trimEnd().split('\n');
  const ofWorker = lines.filter((line) => line.startsWith('1 | '));
  expect(ofWorker).toHaveLength(2001);
  expect(lines.some((line) => /^rcluster \| .*last words/.test(line))).toBe(true);
});

test('an app that prints without end does not hold up its supervisor', async () => {
  const text = `${APP}
    const line = 'x'.repeat(200) + '\\n';
    const { writeSync } = require('node:fs');
    require('node:worker_threads');
    setInterval(() => { for (let i = 0; i < 2000; i++) writeSync(1, line); }, 1);`;
  const app = await startApp(['-w', '2', '--log-file', '/dev/null'], { files: { 'app.js': text } });
  const begun = performance.now();
  for (let i = 0; i < 5; i++) expect((await app.steer('status')).code).toBe(0);
  expect(performance.now() - begun).toBeLessThan(15_000);
  expect(await app.steer('stop', '--timeout', '20s')).toMatchObject({ code: 0 });
});

test('an output that nobody reads any more costs the output only', async () => {
  const app = await startApp(['-w', '1', '--http', '127.0.0.1:0']);
  const { http } = await app.status();
  app.command.child.stdout.destroy();
  app.command.child.stderr.destroy();
  for (let i = 0; i < 3; i++) await app.get('/print');
  await waitFor(async () => {
    const text = await (await fetch(`${http}metrics`)).text();
    return Number(/^rcluster_log_dropped_bytes_total (\d+)$/m.exec(text)[1]) > 0;
  });
  expect(await app.steer('reload')).toMatchObject({ code: 0 });
});
