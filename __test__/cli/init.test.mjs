// rcluster as process 1 of a container: here, of a PID namespace.

import { spawnSync } from 'node:child_process';

import { afterEach, describe, expect, test } from 'vitest';

import { APP, endCommands, startApp } from '../helpers/command.mjs';
import { childrenOf } from '../helpers/process_state.mjs';
import { waitFor } from '../helpers/wait.mjs';

afterEach(endCommands);

const UNSHARE = ['unshare', '--pid', '--fork', '--mount-proc', '--kill-child'];
const canUnshare = spawnSync(UNSHARE[0], [...UNSHARE.slice(1), 'true']).status === 0;

/** Tells of the processes of the namespace; on demand starts a child, or one that leaves an orphan behind. */
const WATCHING = `
const { execFileSync, spawn } = require('node:child_process');
const fs = require('node:fs');
const processes = () => fs.readdirSync('/proc').filter((name) => /^\\d+$/.test(name)).map((pid) => {
  try {
    const stat = fs.readFileSync('/proc/' + pid + '/stat', 'latin1');
    const [state, parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return { pid: Number(pid), state, parent: Number(parent), name: stat.slice(stat.indexOf('(') + 1, stat.lastIndexOf(')')) };
  } catch { return { pid: 0 }; }
});
process.on('SIGUSR2', () => console.log('heard'));
require('node:http').createServer((request, response) => {
  // Its parent ends at once, so it is process 1 that it comes to.
  if (request.url === '/orphan') execFileSync('sh', ['-c', 'sleep 0.2 & exit 0'], { stdio: 'ignore' });
  if (request.url === '/child') {
    spawn('sh', ['-c', 'exit 7']).on('exit', (code) => response.end(String(code)));
    return;
  }
  response.end(JSON.stringify(processes()));
}).listen(Number(process.env.PORT));`;

describe.skipIf(!canUnshare)(
  `as process 1 (${canUnshare ? 'of a namespace' : 'no right to unshare'})`,
  () => {
    const wrapper = UNSHARE;

    test('orphans are collected, own children are not', { timeout: 30_000 }, async () => {
      const app = await startApp(['-w', '1'], { files: { 'app.js': WATCHING }, wrapper });
      for (let i = 0; i < 5; i++) await app.get('/orphan');
      await waitFor(
        async () => {
          const orphans = JSON.parse(await app.get()).filter(({ parent }) => parent === 1);
          return orphans.filter(({ state }) => state === 'Z').length === 5;
        },
        { timeout: 5000, what: 'orphans to collect' },
      );
      await waitFor(async () => !JSON.parse(await app.get()).some(({ state }) => state === 'Z'), {
        timeout: 10_000,
      });
      expect(app.command.stderr).toContain('collecting orphans');
      // A worker that ends is seen with its code, although process 1 collects.
      const [{ pid }] = (await app.status()).workers;
      const exits = () => app.command.stderr.match(/exited with code \d+|was killed by \w+|SIGKILL/g) ?? [];
      expect(exits()).toEqual([]);
      await app.get('/child').then((code) => expect(code).toBe('7'));
      expect(pid).toBeGreaterThan(1);
    });

    test('its own workers end with their codes, however often', { timeout: 30_000 }, async () => {
      const app = await startApp(['-w', '1', '--intensity', '100'], { files: { 'app.js': APP }, wrapper });
      for (let round = 1; round <= 5; round++) {
        await app.get('/die').catch(() => {});
        await waitFor(async () => {
          const [{ restarts, state, lastExit }] = (await app.status()).workers;
          return restarts === round && state === 'ready' && lastExit.code === 3;
        });
      }
    });

    test('signals do what they do elsewhere, and others go to the workers', { timeout: 30_000 }, async () => {
      const app = await startApp(['-w', '1'], { files: { 'app.js': WATCHING }, wrapper });
      // The command's own number, as it is seen from outside.
      const [{ pid }] = childrenOf(app.command.pid);
      process.kill(pid, 'SIGUSR2');
      await waitFor(() => app.command.stdout.includes('1 | heard\n'));
      process.kill(pid, 'SIGHUP');
      await waitFor(async () => (await app.status()).reloads === 1);
      process.kill(pid, 'SIGTERM');
      await waitFor(() => app.command.stderr.includes('has stopped'));
      expect(await app.command.finished).toMatchObject({ code: 0 });
    });
  },
);
