// Who gets a control socket, and what it answers.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, readdirSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';

import { afterAll, expect, test } from 'vitest';

import { asUser } from '../helpers/command.mjs';
import { ask, serveControl, standIn, temporaryDirectory } from '../helpers/instance.mjs';
import { expectNoLeaks } from '../helpers/leaks.mjs';

const { directory, remove } = temporaryDirectory();
afterAll(remove);

test('only the owner has rights on it, and nothing is left of it', async () => {
  const path = join(directory, 'rights.sock');
  await expectNoLeaks(async () => {
    const control = await serveControl(path, standIn());
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(statSync(`${path}.lock`).mode & 0o777).toBe(0o600);
    await control.close();
  });
  expect(readdirSync(directory)).toEqual([]);
});

// Root starts what has no rights, where that may read the checkout and Node.
test.skipIf(process.getuid() !== 0 || !asUser)(
  'another user is not listened to, whatever the rights on it',
  async () => {
    const path = join(directory, 'peer.sock');
    const control = await serveControl(path, standIn());
    const script = `const socket = require('node:net').connect(${JSON.stringify(path)});
    socket.on('error', (error) => console.log(error.code)).on('close', () => console.log('closed'));
    socket.on('data', (data) => console.log(String(data)));
    socket.end('{"id":1,"command":"status"}\\n');`;
    const asNobody = async () => {
      const child = spawn(process.execPath, ['-e', script], { uid: 65_534, gid: 65_534, cwd: '/' });
      let printed = '';
      child.stdout.setEncoding('utf8').on('data', (text) => (printed += text));
      await once(child, 'close');
      return printed;
    };
    chmodSync(directory, 0o755);
    expect(await asNobody()).toContain('EACCES');
    chmodSync(path, 0o666);
    expect(await asNobody()).toMatch(/^(EPIPE\n|ECONNRESET\n)?closed\n$/);
    await control.close();
  },
);

test('a socket that an instance has is not taken from it', async () => {
  const path = join(directory, 'live.sock');
  const control = await serveControl(path, standIn());
  await expect(serveControl(path, standIn())).rejects.toMatchObject({
    code: 'ERR_RCLUSTER_CONTROL_TAKEN',
    pid: process.pid,
  });
  expect(await ask(path, { command: 'status' })).toMatchObject({ state: 'running' });
  await control.close();
});

test('the socket of an instance that was killed is taken', async () => {
  const path = join(directory, 'dead.sock');
  const script = `require(${JSON.stringify(join(import.meta.dirname, '../../lib/supervisor/control.js'))})
    .serveControl(${JSON.stringify(path)}, {}).then(() => { console.log('up'); setInterval(() => {}, 1000); })`;
  const child = spawn(process.execPath, ['-e', script]);
  await once(child.stdout, 'data');
  await expect(serveControl(path, standIn())).rejects.toMatchObject({ pid: child.pid });
  child.kill('SIGKILL');
  await once(child, 'exit');
  expect(existsSync(path)).toBe(true);
  const control = await serveControl(path, standIn());
  expect(await ask(path, { command: 'status' })).toMatchObject({ pid: process.pid });
  await control.close();
});

test('what belongs to somebody else is left alone', async () => {
  const file = join(directory, 'file');
  writeFileSync(file, 'precious');
  await expect(serveControl(file, standIn())).rejects.toThrow('it is no socket');

  const path = join(directory, 'other.sock');
  const server = createServer().listen(path);
  await once(server, 'listening');
  await expect(serveControl(path, standIn())).rejects.toMatchObject({ code: 'ERR_RCLUSTER_CONTROL_TAKEN' });
  expect(existsSync(path)).toBe(true);
  server.close();

  await expect(serveControl(join(directory, 'x'.repeat(120)), standIn())).rejects.toThrow('107 bytes');
  await expect(serveControl('/nonexistent/x.sock', standIn())).rejects.toThrow('no such file or directory');
});

test('of many that start at once, one gets the socket of a dead one', async () => {
  const path = join(directory, 'race.sock');
  for (let round = 0; round < 20; round++) {
    const dead = createServer().listen(`${path}.first`);
    await once(dead, 'listening');
    // Closing would remove it, under its first name.
    renameSync(`${path}.first`, path);
    dead.close();
    writeFileSync(`${path}.lock`, '1\n');
    const starts = await Promise.allSettled(Array.from({ length: 5 }, () => serveControl(path, standIn())));
    const started = starts.filter(({ status }) => status === 'fulfilled');
    expect(started).toHaveLength(1);
    await started[0].value.close();
  }
});

test('each command gets its answer, and each error its reason', async () => {
  const path = join(directory, 'commands.sock');
  const instance = standIn();
  const control = await serveControl(path, instance);
  expect(await ask(path, { command: 'scale', count: 3 })).toMatchObject({ workers: [{ id: 1 }] });
  await ask(path, { command: 'stop', timeout: 5 });
  expect(instance.supervisor.asked).toEqual([
    ['scale', 3],
    ['stop', { timeout: 5, force: undefined }],
  ]);
  expect(await ask(path, { command: 'reload' })).toMatchObject({ replaced: 1 });
  await expect(ask(path, { command: 'scale', count: 1.5 })).rejects.toThrow('1 or more, not 1.5');
  await expect(ask(path, { command: 'toString' })).rejects.toThrow('there is no command "toString"');
  instance.reload = async () => {
    throw Object.assign(new Error('the new worker crashed'), { code: 'ERR_RCLUSTER_RELOAD', stderr: 'why' });
  };
  await expect(ask(path, { command: 'reload' })).rejects.toMatchObject({
    message: 'the new worker crashed',
    code: 'ERR_RCLUSTER_RELOAD',
    stderr: 'why',
  });
  await control.close();
});

test.each([
  ['no JSON', 'nonsense\n'],
  ['no object', '1\n'],
  ['no end', 'x'.repeat(1 << 17)],
])('%s is answered, and then the connection ends', async (_name, sent) => {
  const path = join(directory, 'nonsense.sock');
  const control = await serveControl(path, standIn());
  const socket = connect(path);
  let answer = '';
  socket.setEncoding('utf8').on('data', (text) => (answer += text));
  socket.on('error', () => {});
  socket.write(sent);
  await once(socket, 'close');
  expect(JSON.parse(answer)).toMatchObject({
    ok: false,
    error: { message: expect.stringContaining('a line') },
  });
  // And nobody else is harmed.
  expect(await ask(path, { command: 'status' })).toMatchObject({ state: 'running' });
  await control.close();
});
