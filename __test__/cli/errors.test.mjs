// What is wrong is said in one line, which says what to do, before anything is started.

import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { once } from 'node:events';
import { join } from 'node:path';

import { afterEach, describe, expect, test } from 'vitest';

import { APP, asUser, directoryWith, endCommands, run, start, startApp } from '../helpers/command.mjs';
import { waitFor } from '../helpers/wait.mjs';

afterEach(endCommands);

/** Runs the command, which must fail with one line. */
async function failure(args, { files = { 'app.js': APP }, ...options } = {}) {
  const cwd = options.cwd ?? directoryWith(files);
  const { code, stderr, stdout } = await run(args, { cwd, ...options });
  expect(stderr).toMatch(/^rcluster: [^\n]+\n$/);
  return { code, stdout, message: stderr.slice('rcluster: '.length, -1) };
}

/** A directory that anybody may use. @param {Record<string, string>} files */
function openTo(files) {
  const directory = directoryWith(files);
  chmodSync(directory, 0o777);
  return directory;
}

describe('a wrong command line ends with 2', () => {
  test.each([
    [['app.js', '--wrokers', '2'], "unknown option '--wrokers' (Did you mean --workers?)"],
    [['app.js', '-w', 'many'], '--workers takes a number, not "many"'],
    [['app.js', '-w', '0'], 'instances'],
    [['app.js', '-w'], "option '-w, --workers <number>' argument missing"],
    [
      ['app.js', '--stop-timeout', 'soon'],
      '--stop-timeout takes milliseconds, or a time like 500ms, 30s, 5m, not "soon"',
    ],
    [['app.js', '--policy', 'stickey'], 'did you mean "sticky"?'],
    [['app.js', '--log-format', 'xml'], '--log-format takes one of prefix, plain, json, inherit, not "xml"'],
    [['app.js', '--log-format', 'inherit', '--log-file', 'x'], 'leave out the log files'],
    [['app.js', '--http', 'nonsense'], 'http takes HOST:PORT, a port or unix:PATH, not "nonsense"'],
    [['app.js', 'more'], 'there is no argument "more"; what the app is to get goes behind --'],
    [['app.js', '--cwd', 'nowhere'], 'there is no directory nowhere to run in: see --cwd'],
    [['app.js', '--restart', 'always'], '--restart takes one of permanent, transient, temporary'],
    [['none.js'], /^there is no script none\.js in \S+$/],
    [['statsu'], 'did you mean the command "status"?'],
    [[], 'which script? try: rcluster app.js'],
    [['--check'], 'which script?'],
    [['scale', 'x'], 'scale takes the number of workers, 1 or more, not "x"'],
    [['scale'], "missing required argument 'number'"],
    [['status', 'more'], "too many arguments for 'status'"],
    [['logs', '--lines', 'few'], '--lines takes a number, not "few"'],
    [['stop', '--timeout', 'x'], '--timeout takes milliseconds, or a time like 500ms, 30s, 5m, not "x"'],
    [['top', '--count', '0'], '--count takes a number, 1 or more, not "0"'],
    [['app.js', '--config', 'none.json'], 'there is no config file none.json'],
  ])('%j', async (args, expected) => {
    const { code, message } = await failure(args);
    if (typeof expected === 'string') expect(message).toContain(expected);
    else expect(message).toMatch(expected);
    expect(code).toBe(2);
  });

  test.skipIf(process.features.typescript)('TypeScript where Node does not run it', async () => {
    const { code, message } = await failure(['app.ts'], { files: { 'app.ts': 'let a: number;' } });
    expect(message).toMatch(/^Node v\S+ does not run TypeScript: take 22\.18 or newer, or a loader/);
    expect(code).toBe(2);
  });

  // Where this is root's, and nobody else may read the checkout.
  test.skipIf(!asUser)('a script that may not be read', async () => {
    const cwd = openTo({ 'app.js': APP });
    chmodSync(join(cwd, 'app.js'), 0);
    const { code, message } = await failure(['app.js'], { cwd, wrapper: asUser });
    expect(message).toMatch(/^the script \S+app\.js cannot be read: permission denied$/);
    expect(code).toBe(2);
  });
});

describe('a wrong config file ends with 2', () => {
  test.each([
    ['{"instnaces": 2}', 'rcluster.config.json: there is no option "instnaces"; did you mean "instances"?'],
    ['{"wrokers": 2}', 'did you mean "workers"?'],
    ['{"zzzzzzzz": 2}', 'there is no option "zzzzzzzz"'],
    ['{"instances": "two"}', 'rcluster.config.json: The "instances" property must be'],
    ['{"instances": 2, "workers": 3}', '"workers" is said twice, as "instances" is the same'],
    ['{"recycle": {"rrs": 1}}', 'There is no option "recycle.rrs": did you mean "rss"?'],
    ['{"restart": "alwyas"}', "The property 'restart' must be one of: 'permanent', 'transient', 'temporary'"],
    [
      '{"schedulingPolicy": 77}',
      "The property 'schedulingPolicy' must be one of cluster.SCHED_*. Received 77",
    ],
    ['{"http": true}', '"http" must be a string HOST:PORT, a port or false, not true'],
    ['{"logTime": "yes"}', '"logTime" must be true or false, not "yes"'],
    ['{"schedulingPolicy": "random"}', '"schedulingPolicy" must be one of rr, none'],
    ['{"stopTimeout": -1}', 'stopTimeout'],
    ['{"envFile": "none.env"}', 'none.env" (ENOENT)'],
    ['{"exec": "none.js"}', 'none.js'],
    ['[]', 'rcluster.config.json: it must be an object of options, not a list'],
    ['{', 'rcluster.config.json cannot be read: '],
  ])('%s', async (config, expected) => {
    const files = { 'app.js': APP, 'rcluster.config.json': config };
    const args = config.includes('exec') ? [] : ['app.js'];
    for (const all of [args, [...args, '--check']]) {
      const { code, message } = await failure(all, { files });
      expect(message).toContain(expected);
      expect(code).toBe(2);
    }
  });

  test('one that throws', async () => {
    const files = { 'app.js': APP, 'rcluster.config.js': 'throw new Error("no\\nway")' };
    expect(await failure(['app.js'], { files })).toMatchObject({
      code: 2,
      message: 'rcluster.config.js cannot be read: no way',
    });
  });

  test.skipIf(!asUser)('one that may not be read', async () => {
    const cwd = openTo({ 'app.js': APP, 'rcluster.config.json': '{}' });
    chmodSync(join(cwd, 'rcluster.config.json'), 0);
    const { code, message } = await failure(['app.js'], { cwd, wrapper: asUser });
    expect(message).toContain('rcluster.config.json cannot be read: EACCES');
    expect(code).toBe(2);
  });
});

describe('what cannot be had ends with 1, and no worker has started', () => {
  test('a port in use', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address();
    const { code, message } = await failure(['app.js', '--http', `${port}`, '--control', 'c.sock']);
    expect(message).toBe(`cannot serve http at ${port}: it is in use; choose another with --http`);
    expect(code).toBe(1);
    server.close();
  });

  test('the control socket of an instance that lives', async () => {
    const app = await startApp(['-w', '1']);
    const { code, message } = await failure(['app.js'], { cwd: app.cwd });
    expect(message).toMatch(
      /belongs to another instance \(pid \d+\): stop it with "rcluster stop", or give this one/,
    );
    expect(code).toBe(1);
    expect(await app.status()).toMatchObject({ pid: app.command.pid });
  });

  test('a log file that cannot be opened', async () => {
    const { code, message } = await failure(['app.js', '--log-file', 'none/out.log']);
    expect(message).toMatch(
      /^cannot open \S+none\/out\.log: no such file or directory: choose another log file$/,
    );
    expect(code).toBe(1);
  });

  test('a control socket where none can be', async () => {
    const { code, message } = await failure(['app.js', '--control', 'app.js']);
    expect(message).toMatch(
      /is in the way of the control socket: it is no socket: choose another with --control PATH$/,
    );
    expect(code).toBe(1);
  });

  test.skipIf(!asUser)('a control socket or a log file in a directory of others', async () => {
    const cwd = openTo({ 'app.js': APP });
    mkdirSync(join(cwd, 'closed'), { mode: 0o500 });
    if (process.getuid() !== 0) chmodSync(join(cwd, 'closed'), 0);
    const control = await failure(['app.js', '--control', 'closed/c.sock'], { cwd, wrapper: asUser });
    expect(control.message).toMatch(
      /closed\/c\.sock: permission denied: choose another with --control PATH$/,
    );
    const logs = await failure(['app.js', '--log-file', 'closed/out.log'], { cwd, wrapper: asUser });
    expect(logs.message).toMatch(/closed\/out\.log: permission denied: choose another log file$/);
    expect([control.code, logs.code]).toEqual([1, 1]);
    if (process.getuid() !== 0) chmodSync(join(cwd, 'closed'), 0o700);
  });

  test.skipIf(!asUser || process.getuid() !== 0)(
    "root is told where another user's instance is",
    async () => {
      const cwd = openTo({ 'app.js': APP });
      const command = start(['app.js', '-w', '1'], { cwd, env: { PORT: '0' }, wrapper: asUser });
      await waitFor(() => command.stderr.includes('is ready'), { timeout: 10_000 });
      const { code, message } = await failure(['status'], { cwd });
      expect(code).toBe(1);
      expect(message).toMatch(
        /another user's instance does; use --control \/tmp\/rcluster-65534\/[0-9a-f]{16}\.sock$/,
      );
      const [path] = message.match(/\/tmp\/rcluster-65534\S+$/);
      expect(await run(['stop', '--control', path], { cwd })).toMatchObject({ code: 0 });
    },
  );

  test.skipIf(!asUser || process.getuid() !== 0)(
    'an instance of another user is not to be steered',
    async () => {
      const app = await startApp(['-w', '1', '--control', 'c.sock'], { isReady: false });
      chmodSync(app.cwd, 0o777);
      await waitFor(async () => (await app.steer('status', '--control', 'c.sock')).code === 0, {
        timeout: 10_000,
      });
      const { code, message } = await failure(['stop', '--control', 'c.sock'], {
        cwd: app.cwd,
        wrapper: asUser,
      });
      expect(message).toMatch(/^the instance at \S+c\.sock belongs to another user$/);
      expect(code).toBe(1);
    },
  );

  test('with --json the reason is JSON too', async () => {
    const { stdout, code } = await failure(['status', '--json']);
    expect(JSON.parse(stdout)).toMatchObject({ ok: false, error: { code: 'ERR_RCLUSTER_NOT_RUNNING' } });
    expect(code).toBe(1);
  });
});

test('the control socket of an instance that was killed is taken over', async () => {
  const app = await startApp(['-w', '1']);
  app.kill('SIGKILL');
  await app.command.finished;
  expect(await app.steer('status')).toMatchObject({ code: 1 });
  const again = start(['app.js', '-w', '1'], { cwd: app.cwd, env: { PORT: '0' } });
  await waitFor(async () => (await app.steer('status')).code === 0, { timeout: 10_000 });
  expect(await app.status()).toMatchObject({ pid: again.pid });
});

test('an app that crashes at its start is given up, with its reason', async () => {
  const files = { 'app.js': 'throw new Error("no database")' };
  const cwd = directoryWith(files);
  const { code, stderr } = await run(['app.js', '-w', '1', '--intensity', '1'], { cwd });
  expect(code).toBe(1);
  expect(stderr.trimEnd().split('\n').at(-1)).toBe(
    'rcluster: worker 1 exited with code 1 before it was ready: Error: no database, after 1 restart within 30000 ms',
  );
});

test('a reload to a release that crashes fails with the reason, and the old one serves', async () => {
  const app = await startApp(['-w', '2']);
  const pids = (await app.status()).workers.map(({ pid }) => pid);
  writeFileSync(join(app.cwd, 'app.js'), 'throw new Error("broken release")');
  const { code, stderr } = await app.steer('reload');
  expect(stderr).toMatch(/^rcluster: [^\n]*broken release[^\n]*\n$/);
  expect(code).toBe(1);
  expect((await app.status()).workers.map(({ pid }) => pid)).toEqual(pids);
  expect(pids).toContain(Number(await app.get()));
});
