// What systemd is told, and what it gives.

import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { afterEach, expect, test } from 'vitest';

import { directoryWith, endCommands, startApp } from '../helpers/command.mjs';
import { fixture } from '../helpers/run_script.mjs';
import { waitFor } from '../helpers/wait.mjs';

afterEach(endCommands);

const hasPython = spawnSync('python3', ['--version']).status === 0;

/** The socket of a service manager, and what it has heard. */
async function listening() {
  const path = join(directoryWith({}), 'notify.sock');
  const python = spawn('python3', [fixture('notify_socket.py'), path], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const manager = { path, heard: [], stop: () => python.kill() };
  let text = '';
  python.stdout.setEncoding('utf8').on('data', (data) => {
    text += data;
    manager.heard = text.split('\n').slice(1, -1);
  });
  await once(python.stdout, 'data');
  return manager;
}

test.skipIf(!hasPython)('ready, reload, watchdog and the end are told, in this order', async () => {
  const manager = await listening();
  const env = { NOTIFY_SOCKET: manager.path, WATCHDOG_USEC: '400000' };
  const text = `require('node:http').createServer((request, response) => {
    response.end(String(process.env.NOTIFY_SOCKET) + process.env.WATCHDOG_USEC);
  }).listen(Number(process.env.PORT));`;
  const app = await startApp(['-w', '2'], { env, files: { 'app.js': text } });
  const index = (pattern) => manager.heard.findIndex((message) => pattern.test(message));
  await waitFor(() => index(/^READY=1 STATUS=2 of 2 workers ready$/) >= 0);
  // It is not for the workers, which would take part in the conversation.
  expect(await app.get()).toBe('undefinedundefined');
  await waitFor(() => manager.heard.filter((message) => message === 'WATCHDOG=1').length >= 3);

  const before = process.hrtime.bigint() / 1000n;
  await app.steer('reload');
  const reloading = index(/^RELOADING=1 MONOTONIC_USEC=\d+/);
  expect(reloading).toBeGreaterThan(index(/^READY=1/));
  const [, time] = /MONOTONIC_USEC=(\d+)/.exec(manager.heard[reloading]);
  expect(BigInt(time)).toBeGreaterThan(before);
  expect(BigInt(time)).toBeLessThan(process.hrtime.bigint() / 1000n);
  await waitFor(() => manager.heard.slice(reloading).some((message) => message.startsWith('READY=1')));

  await app.steer('stop');
  await waitFor(() => index(/^STOPPING=1/) > reloading);
  manager.stop();
});

test.skipIf(!hasPython)('a reload that fails is over, too', async () => {
  const manager = await listening();
  const app = await startApp(['-w', '1'], { env: { NOTIFY_SOCKET: manager.path } });
  writeFileSync(join(app.cwd, 'app.js'), 'process.exit(1)');
  app.kill('SIGHUP');
  await waitFor(
    () => manager.heard.some((message) => message.startsWith('READY=1 STATUS=the last reload failed: ')),
    {
      timeout: 10_000,
    },
  );
  manager.stop();
});

test('sockets that systemd has opened reach the workers', async () => {
  // What systemd does: descriptor 3, and variables that name the process they are for.
  const opener = `
    const net = require('node:net');
    const { spawn } = require('node:child_process');
    const server = net.createServer().listen(Number(process.env.PORT), '127.0.0.1', () => {
      const script = 'LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=http exec "$@"';
      const child = spawn('sh', ['-c', script, 'sh', ...process.argv.slice(1)], {
        stdio: ['ignore', 'inherit', 'inherit', server._handle.fd],
      });
      // Not to accept any itself.
      server.close();
      child.on('exit', (code) => process.exit(code));
      for (const signal of ['SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
    });`;
  const text = `
    const cluster = require('node:cluster');
    const [{ fd, name }] = cluster.listenFds();
    require('node:http').createServer((request, response) => response.end(name + ' ' + process.pid)).listen({ fd });`;
  const wrapper = [process.execPath, '-e', opener, '--'];
  const app = await startApp(['-w', '2'], { files: { 'app.js': text }, wrapper });
  expect(await app.get()).toMatch(/^http \d+$/);
  await app.steer('reload');
  expect(await app.get()).toMatch(/^http \d+$/);
  await app.steer('stop');
  await app.command.finished;
});
