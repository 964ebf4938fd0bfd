// What the command itself costs, beside its workers: less than 15 MB over plain Node, and next to no time while all is idle.

import { readdirSync, readFileSync } from 'node:fs';
import { spawn } from 'node:child_process';

import { afterEach, expect, test } from 'vitest';

import { endCommands, startApp } from '../helpers/command.mjs';
import { sleep, waitFor } from '../helpers/wait.mjs';

afterEach(endCommands);

const MB = 2 ** 20;

/** Bytes. @param {number} pid */
function rss(pid) {
  return Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))[1]) * 1024;
}

/** Milliseconds on a processor, of all threads. @param {number} pid */
function processorTime(pid) {
  const tasks = readdirSync(`/proc/${pid}/task`);
  const of = (task) => Number(readFileSync(`/proc/${pid}/task/${task}/schedstat`, 'latin1').split(' ')[0]);
  return tasks.map(of).reduce((sum, nanoseconds) => sum + nanoseconds, 0) / 1e6;
}

test.each([
  ['as it is', []],
  ['with its HTTP server', ['--http', '0']],
])('less than 15 MB over plain Node, %s', async (_, args) => {
  const plain = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1e6); console.log()'], { env: {} });
  try {
    await new Promise((resolve) => plain.stdout.once('data', resolve));
    const app = await startApp(['-w', '2', ...args]);
    await sleep(500);
    expect((rss(app.command.pid) - rss(plain.pid)) / MB).toBeLessThan(15);
  } finally {
    plain.kill();
    await waitFor(() => plain.exitCode !== null || plain.signalCode !== null);
  }
});

test('an idle supervisor with two workers takes less than 0.2 % of a processor', async () => {
  const app = await startApp(['-w', '2']);
  // What a start leaves to do takes some seconds: V8 collects, threads of libuv begin.
  let share = 1;
  for (let turn = 0; turn < 4 && share >= 0.002; turn++) {
    await sleep(1000);
    const before = processorTime(app.command.pid);
    await sleep(2000);
    share = (processorTime(app.command.pid) - before) / 2000;
  }
  expect(share).toBeLessThan(0.002);
}, 30_000);
