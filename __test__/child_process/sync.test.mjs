// The synchronous functions and the rest of the process: children they did not start, what they leave behind.

import * as node from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';

import { describe, expect, test } from 'vitest';

import { expectNoLeaks } from '../helpers/leaks.mjs';
import { both, ours } from '../parity/both.mjs';

const ROUNDS = Number(process.env.RCLUSTER_TEST_ROUNDS ?? 100);

test('children of Node and of ours that end meanwhile are reported, each once', async () => {
  const ends = [];
  const children = both.flatMap(([name, { spawn }]) =>
    [0, 1, 2, 3, 4].map((code) => {
      const child = spawn('sh', ['-c', `sleep 0.0${code}; echo ${name}; exit ${code}`]);
      child.stdout.on('data', (data) => ends.push(['data', String(data).trim(), code]));
      child.on('exit', (...args) => ends.push(['exit', name, ...args]));
      return once(child, 'close');
    }),
  );
  expect(ours.spawnSync('sleep', ['0.3']).status).toBe(0);
  expect(ends).toEqual([]);
  await Promise.all(children);
  for (const [name] of both) {
    for (const code of [0, 1, 2, 3, 4]) {
      expect(ends.filter((end) => end[0] === 'exit' && end[1] === name && end[2] === code)).toHaveLength(1);
      expect(ends.filter((end) => end[0] === 'data' && end[1] === name && end[2] === code)).toHaveLength(1);
    }
  }
});

test("it runs beside Node's own spawnSync, and a SIGCHLD listener hears of both", async () => {
  let heard = 0;
  const listener = () => heard++;
  process.on('SIGCHLD', listener);
  for (let i = 0; i < 10; i++) {
    expect(ours.spawnSync('sh', ['-c', `exit ${i}`]).status).toBe(i);
    expect(node.spawnSync('sh', ['-c', `exit ${i}`]).status).toBe(i);
  }
  await new Promise((resolve) => setTimeout(resolve, 50));
  process.removeListener('SIGCHLD', listener);
  expect(heard).toBeGreaterThan(0);
});

test('nothing is left behind, however it ends', async () => {
  const run = () => {
    ours.spawnSync('true');
    ours.spawnSync('no-such-program');
    ours.spawnSync('true', { cwd: '/no-such-directory' });
    ours.spawnSync('true', { stdio: [0, 1, 987] });
    ours.spawnSync('sleep', ['1'], { timeout: 1 });
    ours.spawnSync('yes', { maxBuffer: 10 });
    ours.spawnSync('true', { input: Buffer.alloc(1_000_000) });
    ours.spawnSync('true', { stdio: ['pipe', 'pipe', 'pipe', 'pipe', 'pipe'] });
  };
  run();
  await expectNoLeaks(() => {
    for (let i = 0; i < ROUNDS / 10; i++) run();
  });
});

test('many in a row, each with its own outcome', () => {
  for (let i = 0; i < ROUNDS; i++) {
    const { status, stdout } = ours.spawnSync('sh', ['-c', `printf ${i}; exit ${i % 256}`]);
    expect([status, String(stdout)]).toEqual([i % 256, String(i)]);
  }
});

describe("stdio that Node's spawnSync ends the whole process on", () => {
  test('overlapped is a pipe', () => {
    const { output } = ours.spawnSync('echo', ['out'], { stdio: 'overlapped', encoding: 'utf8' });
    expect(output).toEqual([null, 'out\n', '']);
  });

  test('a stream gives its descriptor', async () => {
    const server = createServer().listen(0);
    await once(server, 'listening');
    const result = ours.spawnSync('readlink', ['/proc/self/fd/3'], {
      stdio: ['ignore', 'pipe', 'inherit', server._handle],
      encoding: 'utf8',
    });
    expect(result.stdout).toMatch(/^socket:/);
    server.close();
  });
});

test('the stderr of execSync and execFileSync is shown, unless stdio is given', () => {
  const shown = [];
  const { write } = process.stderr;
  process.stderr.write = (data) => shown.push(String(data));
  try {
    ours.execSync('echo one >&2');
    ours.execFileSync('sh', ['-c', 'echo two >&2']);
    ours.execSync('echo three >&2', { stdio: 'pipe' });
    expect(() => ours.execSync('echo four >&2; exit 1')).toThrow('Command failed');
    ours.spawnSync('sh', ['-c', 'echo five >&2']);
  } finally {
    process.stderr.write = write;
  }
  expect(shown).toEqual(['one\n', 'two\n', 'four\n']);
});

test('a signal that comes meanwhile does not end the wait early', () => {
  const script = `sleep 0.1; kill -WINCH ${process.pid}; sleep 0.1; echo done`;
  expect(String(ours.execFileSync('sh', ['-c', script], { timeout: 5000 }))).toBe('done\n');
});

test('a time-out of longer than a poll can wait', () => {
  expect(ours.spawnSync('true', { timeout: Number.MAX_SAFE_INTEGER }).status).toBe(0);
  expect(ours.spawnSync('sleep', ['0.1'], { timeout: 2 ** 31 }).status).toBe(0);
});

test('extras work as with spawn', () => {
  const { stdout } = ours.spawnSync('sh', ['-c', 'umask; ulimit -n'], {
    umask: 0o027,
    rlimits: { nofile: 64 },
    encoding: 'utf8',
  });
  expect(stdout).toBe('0027\n64\n');
});
