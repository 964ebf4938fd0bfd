// What workers print, on its way to files.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, readdirSync, renameSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

import { afterAll, describe, expect, test } from 'vitest';

import { ask, serveControl, standIn, temporaryDirectory } from '../helpers/instance.mjs';
import { expectNoLeaks } from '../helpers/leaks.mjs';
import { waitFor } from '../helpers/wait.mjs';

const require = createRequire(import.meta.url);
const { Logs } = require('../../lib/supervisor/logs.js');

const { directory, remove } = temporaryDirectory();
afterAll(remove);

/** Runs a shell script as worker `id`, to its end. */
async function run(logs, id, script) {
  const { stdio, started, tail } = logs.stdio({ id });
  const child = spawn('sh', ['-c', script], { stdio: stdio.slice(0, 3) });
  started();
  await once(child, 'exit');
  return tail;
}

test('nothing is left of many that have finished', async () => {
  const file = join(directory, 'many.log');
  const cycle = async () => {
    const logs = new Logs({ file, errorFile: file });
    await run(logs, 1, 'echo line');
    logs.finish();
  };
  await cycle();
  const before = readdirSync('/proc/self/fd').length;
  for (let i = 0; i < 10; i++) await cycle();
  await waitFor(() => readdirSync('/proc/self/fd').length < before + 5);
});

test('both streams of several workers go to their files, line by line', async () => {
  const file = join(directory, 'out.log');
  const errorFile = join(directory, 'error.log');
  await expectNoLeaks(async () => {
    const logs = new Logs({ file, errorFile });
    const script = 'for i in 1 2 3; do echo line $i; echo error $i >&2; done; printf unfinished';
    await Promise.all([run(logs, 1, script), run(logs, 2, script)]);
    logs.print('a word of the supervisor');
    logs.finish();
  });
  const lines = readFileSync(file, 'utf8').trimEnd().split('\n');
  const expected = [1, 2].flatMap((id) =>
    ['line 1', 'line 2', 'line 3', 'unfinished'].map((line) => `${id} | ${line}`),
  );
  expect(lines.sort()).toEqual(expected.sort());
  expect(readFileSync(errorFile, 'utf8')).toMatch(/rcluster \| a word of the supervisor\n/);
  expect(readFileSync(errorFile, 'utf8').trimEnd().split('\n')).toHaveLength(7);
  expect(statSync(file).mode & 0o777).toBe(0o640);
});

test('a file that was moved away is made anew', async () => {
  const file = join(directory, 'rotated.log');
  const logs = new Logs({ file, format: 'json' });
  await run(logs, 1, 'echo before');
  await waitFor(() => readFileSync(file, 'utf8').endsWith('\n'));
  renameSync(file, `${file}.1`);
  logs.reopen();
  await run(logs, 1, 'echo after');
  logs.finish();
  expect(JSON.parse(readFileSync(file, 'utf8'))).toMatchObject({
    worker: 1,
    stream: 'stdout',
    line: 'after',
  });
  expect(JSON.parse(readFileSync(`${file}.1`, 'utf8'))).toMatchObject({ line: 'before' });
});

test('a file that cannot be opened is an error, at first and later', () => {
  expect(() => new Logs({ file: '/nonexistent/file' })).toThrow(
    'cannot open /nonexistent/file: no such file or directory',
  );
  expect(() => new Logs({ file: directory })).toThrow('illegal operation on a directory');
});

test('the end of stderr is kept for each process, not for each place', async () => {
  const logs = new Logs({ file: '/dev/null' });
  const first = await run(logs, 1, 'echo first >&2');
  const second = await run(logs, 1, 'echo noise; seq 100000 >&2; echo last >&2');
  await waitFor(() => second().endsWith('last\n'));
  expect(first()).toBe('first\n');
  expect(second().length).toBeLessThanOrEqual(4096);
  logs.finish();
});

test('much output is moved whole', async () => {
  const file = join(directory, 'much.log');
  const logs = new Logs({ file });
  const script = 'yes "$(printf %0100d 7)" | head -n 100000';
  await Promise.all([run(logs, 1, script), run(logs, 2, script)]);
  logs.finish();
  const lines = readFileSync(file, 'latin1').split('\n');
  expect(lines.pop()).toBe('');
  expect(lines).toHaveLength(200_000);
  const line = /^[12] \| 0{99}7$/;
  expect(lines.every((text) => line.test(text))).toBe(true);
  expect(logs.dropped).toBe(0);
});

describe('over the control socket', () => {
  /** The events that `rcluster logs` gets. */
  async function events(logs, options, signal) {
    const path = join(directory, 'logs.sock');
    const control = await serveControl(path, { ...standIn(), logs });
    const received = [];
    const onEvent = (event) => {
      received.push(event);
      if (options.until?.(received)) signal.abort();
    };
    await ask(path, { command: 'logs', ...options }, { onEvent, signal: signal?.signal });
    await control.close();
    return received;
  }

  test('come the latest lines, of all workers or of one', async () => {
    const logs = new Logs({ file: '/dev/null' });
    await run(logs, 1, 'seq 1 10');
    await waitFor(() => logs.since(0).records.length > 0);
    await run(logs, 2, 'printf "äöü\\n"');
    await waitFor(() => logs.since(0).records.some(({ worker }) => worker === 2));
    const text = (received) => received.map(({ worker, text }) => `${worker}: ${text}`).join('');
    expect(text(await events(logs, { lines: 3 }))).toBe('1: 9\n10\n2: äöü\n');
    expect(text(await events(logs, { worker: 2 }))).toBe('2: äöü\n');
    expect(text(await events(logs, {}))).toMatch(/^1: 1\n2\n/);
    logs.finish();
  });

  test('follows what is printed from now on, and a letter that comes in two halves is one', async () => {
    const logs = new Logs({ file: '/dev/null' });
    const controller = new AbortController();
    const until = (received) => received.some(({ text }) => text.includes('\n'));
    const followed = events(logs, { follow: true, until }, controller);
    await run(logs, 3, 'printf "\\303"; sleep 0.3; printf "\\244\\n"');
    expect((await followed).map(({ text }) => text).join('')).toBe('ä\n');
    logs.finish();
  });

  test('it says where there is nothing to be had', async () => {
    await expect(events(undefined, {})).rejects.toMatchObject({ code: 'ERR_RCLUSTER_NO_LOGS' });
  });
});
