// Which events a child has, in which order, with what, and what 'close' waits for.

import { once } from 'node:events';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, describe, expect, test } from 'vitest';

import { fixture } from '../helpers/run_script.mjs';
import { both, outcomeOf, shapeOf } from './both.mjs';

const directory = mkdtempSync(join(tmpdir(), 'rcluster-events-'));
afterAll(() => rmSync(directory, { recursive: true }));

/** All events until 'close', in order, with what the child says of itself meanwhile. */
async function eventsOf(child) {
  const events = [];
  for (const name of ['spawn', 'error', 'exit', 'disconnect', 'close']) {
    child.on(name, (...args) => events.push([name, ...args.map(shapeOf), child.exitCode, child.signalCode]));
  }
  await new Promise((resolve) => child.once('close', resolve));
  return events;
}

const denied = join(directory, 'denied');
writeFileSync(denied, 'exit 0\n');
chmodSync(denied, 0o644);

describe.each(both)('%s', (name, { spawn, fork }) => {
  test('a child that ends well', async () => {
    expect(await eventsOf(spawn('true'))).toEqual([
      ['spawn', null, null],
      ['exit', 0, null, 0, null],
      ['close', 0, null, 0, null],
    ]);
  });

  test('an exit code and a signal exclude each other', async () => {
    const ended = await eventsOf(spawn('sh', ['-c', 'exit 143']));
    expect(ended.slice(1)).toEqual([
      ['exit', 143, null, 143, null],
      ['close', 143, null, 143, null],
    ]);
    const killed = await eventsOf(spawn('sh', ['-c', 'kill -TERM $$']));
    expect(killed.slice(1)).toEqual([
      ['exit', null, 'SIGTERM', null, 'SIGTERM'],
      ['close', null, 'SIGTERM', null, 'SIGTERM'],
    ]);
  });

  test('a program that is not there: an error, then close with the errno, no exit', async () => {
    const child = spawn('no-such-program', ['a', 'b'], { argv0: 'zero' });
    expect(child.pid).toBe(undefined);
    const [error, ...rest] = await eventsOf(child);
    expect(error[1]).toMatchObject({
      class: 'Error',
      message: 'spawn no-such-program ENOENT',
      properties: {
        errno: -2,
        code: 'ENOENT',
        syscall: 'spawn no-such-program',
        path: 'no-such-program',
        spawnargs: ['a', 'b'],
      },
    });
    expect(rest).toEqual([['close', -2, null, -2, null]]);
    expect([child.exitCode, child.signalCode, child.killed]).toEqual([-2, null, false]);
  });

  test.each([
    ['a file that may not be executed', denied, {}, 'EACCES', -13],
    ['a directory', directory, {}, 'EACCES', -13],
    ['a directory to work in that is not there', 'true', { cwd: '/no/such' }, 'ENOENT', -2],
    [
      'EACCES remembered from the first entry of PATH',
      'denied',
      { PATH: `${directory}:/no/such` },
      'EACCES',
      -13,
    ],
    ['ENOENT where no entry of PATH has it', 'denied', { PATH: '/no/such:/nor/this' }, 'ENOENT', -2],
  ])('%s is an error event', async (_, file, { PATH, ...options }, code, errno) => {
    const env = PATH && { PATH };
    const child = spawn(file, [], { ...options, env });
    const [error, close] = await eventsOf(child);
    expect(error[1].properties).toMatchObject({ code, errno, path: file });
    expect(close).toEqual(['close', errno, null, errno, null]);
  });

  test.each([
    ['E2BIG', ['true', ['x'.repeat(300_000)]]],
    ['ENOTDIR', ['/etc/passwd/program']],
    ['ENOTDIR', ['true', { cwd: '/etc/passwd' }]],
    ['ENAMETOOLONG', ['/'.padEnd(5000, 'x')]],
    ['EBADF', ['true', { stdio: ['ignore', 'pipe', 'pipe', 9876] }]],
  ])('%s is thrown', (code, args) => {
    const { thrown, returned } = outcomeOf(() => spawn(...args));
    returned?.on('error', () => {});
    expect(thrown).toMatchObject({
      message: `spawn ${code}`,
      properties: { code, syscall: 'spawn' },
    });
  });

  test('close waits for every readable pipe, not for stdin', async () => {
    const script = 'exec 2>&-; (sleep 0.25; echo late >&4) <&- >&- & exit 0';
    const child = spawn('sh', ['-c', script], { stdio: ['pipe', 'pipe', 'pipe', 'pipe', 'pipe'] });
    let text = '';
    child.stdio[4].on('data', (data) => (text += data));
    const exited = once(child, 'exit').then(() => performance.now());
    await once(child, 'close');
    expect(performance.now() - (await exited)).toBeGreaterThan(150);
    expect(text).toBe('late\n');

    // Its grandchild keeps the child's end of stdin open.
    const other = spawn('sh', ['-c', 'exec sleep 2 <&0 &'], { stdio: ['pipe', 'ignore', 'ignore'] });
    const started = performance.now();
    await once(other, 'close');
    expect(performance.now() - started).toBeLessThan(1500);
  });

  test('close waits for the channel', async () => {
    const child = fork(fixture('ipc_child.cjs'), [], { execArgv: [] });
    const events = [];
    child.on('disconnect', () => events.push('disconnect'));
    child.on('close', () => events.push('close'));
    child.send({ command: 'exit', code: 5 });
    expect(await once(child, 'close')).toEqual([5, null]);
    expect(events).toEqual(['disconnect', 'close']);
  });

  test('a throwing listener of one child does not keep another from its events', async () => {
    const listeners = process.listeners('uncaughtException');
    process.removeAllListeners('uncaughtException');
    const caught = [];
    process.on('uncaughtException', (error) => caught.push(error.message));
    try {
      const children = Array.from({ length: 6 }, () => spawn('true', { stdio: 'ignore' }));
      const exits = children.map((child) => new Promise((resolve) => child.on('exit', resolve)));
      children.forEach((child, at) => {
        child.prependListener('exit', () => {
          if (at % 2 === 0) throw new Error(`listener ${at}`);
        });
      });
      await Promise.all(exits.filter((_, at) => at % 2 === 1));
      await expect.poll(() => caught.toSorted()).toEqual(['listener 0', 'listener 2', 'listener 4']);
    } finally {
      process.removeAllListeners('uncaughtException');
      listeners.forEach((listener) => process.on('uncaughtException', listener));
    }
  });
});
