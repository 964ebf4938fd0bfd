// The streams of a child: what they are, when they are read, and that nothing of them is lost.

import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import net from 'node:net';
import { Duplex } from 'node:stream';

import { describe, expect, test } from 'vitest';

import { sleep, waitFor } from '../helpers/wait.mjs';
import { both } from './both.mjs';

/** How often a race is tried. */
const ROUNDS = Number(process.env.RCLUSTER_TEST_ROUNDS ?? 20);

/** Collects what a stream gives until it ends. */
async function readAll(stream) {
  const chunks = [];
  stream.on('data', (chunk) => chunks.push(chunk));
  await once(stream, 'end');
  return Buffer.concat(chunks);
}

/** How many bytes a process has written so far. */
const writtenBy = (pid) => Number(/^wchar: (\d+)$/m.exec(readFileSync(`/proc/${pid}/io`, 'utf8'))[1]);

describe.each(both)('%s', (name, { spawn, fork }) => {
  test('stdin, stdout and stderr are sockets, and those of stdio', async () => {
    const child = spawn('cat');
    for (const stream of [child.stdin, child.stdout, child.stderr]) {
      expect(stream).toBeInstanceOf(net.Socket);
      expect(stream).toBeInstanceOf(Duplex);
    }
    expect(child.stdio).toEqual([child.stdin, child.stdout, child.stderr]);
    expect([child.stdin.writable, child.stdin.readable]).toEqual([true, false]);
    expect([child.stdout.readable, child.stderr.readable]).toEqual([true, true]);
    // What only a readable has, some programs call on stdin.
    child.stdin.setEncoding('utf8');
    child.stdin.end();
    expect(await once(child, 'close')).toEqual([0, null]);
  });

  test('they exist although the program does not, and close', async () => {
    const child = spawn('no-such-program');
    const streams = [child.stdin, child.stdout, child.stderr];
    for (const stream of streams) expect(stream).toBeInstanceOf(net.Socket);
    child.stdin.on('error', () => {}).write('nobody reads this');
    child.on('error', () => {});
    await new Promise((resolve) => child.once('close', resolve));
    await waitFor(() => streams.every((stream) => stream.destroyed));
  });

  test('what is not piped is null', async () => {
    const child = spawn('true', { stdio: ['ignore', 'inherit', 'pipe', 'ignore', 'pipe'] });
    expect(child.stdio.map((stream) => stream !== null)).toEqual([false, false, true, false, true]);
    expect([child.stdin, child.stdout]).toEqual([null, null]);
    expect(child.stderr).toBe(child.stdio[2]);
    await once(child, 'close');
  });

  test('a child sees a socket, as libuv makes them', async () => {
    const child = spawn('sh', ['-c', 'for fd in 0 1 2; do readlink /proc/self/fd/$fd; done']);
    expect(String(await readAll(child.stdout))).toMatch(/^(socket:\[\d+\]\n){3}$/);
  });

  test('nothing is read before somebody wants it: the child blocks on a full pipe', async () => {
    const child = spawn('sh', ['-c', 'exec head -c 20000000 /dev/zero'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(child, 'spawn');
    await sleep(250);
    // What the kernel holds for a socket, and no more.
    const written = writtenBy(child.pid);
    expect(written).toBeLessThan(1_000_000);
    expect(child.stdout.readableLength).toBeLessThan(200_000);
    expect(child.exitCode).toBe(null);
    expect((await readAll(child.stdout)).length).toBe(20_000_000);
  });

  test('a paused reader holds the child back too', async () => {
    const child = spawn('head', ['-c', '20000000', '/dev/zero'], { stdio: ['ignore', 'pipe', 'inherit'] });
    let length = 0;
    child.stdout.once('data', (chunk) => {
      length += chunk.length;
      child.stdout.pause();
    });
    await once(child.stdout, 'pause');
    await sleep(200);
    expect(writtenBy(child.pid)).toBeLessThan(2_000_000);
    child.stdout.on('data', (chunk) => (length += chunk.length)).resume();
    await once(child, 'close');
    expect(length).toBe(20_000_000);
  });

  test('100 MB that are read only from the exit of the shell on, by a reader attached there', async () => {
    // The shell ends at once and leaves one that goes on writing.
    const child = spawn('sh', ['-c', 'head -c 100000000 /dev/zero & exit 0'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let length = 0;
    child.once('exit', () => child.stdout.on('data', (chunk) => (length += chunk.length)));
    expect(await once(child, 'close')).toEqual([0, null]);
    expect(length).toBe(100_000_000);
  });

  test('a reader attached in the listener of exit gets what the kernel still holds', async () => {
    for (let round = 0; round < ROUNDS; round++) {
      const child = spawn('head', ['-c', '60000', '/dev/zero'], { stdio: ['ignore', 'pipe', 'inherit'] });
      let length = 0;
      child.once('exit', () => child.stdout.on('data', (chunk) => (length += chunk.length)));
      await once(child, 'close');
      expect(length).toBe(60_000);
    }
  });

  test('a stream that nobody touches does not hold back close', async () => {
    const child = spawn('sh', ['-c', 'echo out; echo err >&2']);
    expect(await once(child, 'close')).toEqual([0, null]);
  });

  test('stdin is destroyed at the exit, before its listeners run', async () => {
    const child = spawn('true');
    let destroyed;
    child.once('exit', () => (destroyed = child.stdin.destroyed));
    await once(child, 'close');
    expect(destroyed).toBe(true);
  });

  test('extra pipes go both ways', async () => {
    const child = spawn('sh', ['-c', 'cat <&3 >&4; exec 4>&-; read line <&5; echo "got $line" >&5'], {
      stdio: ['ignore', 'inherit', 'inherit', 'pipe', 'pipe', 'overlapped'],
    });
    const [, , , input, output, duplex] = child.stdio;
    input.end('through cat');
    expect(String(await readAll(output))).toBe('through cat');
    duplex.write('a line\n');
    expect(String(await readAll(duplex))).toBe('got a line\n');
    await waitFor(() => child.exitCode === 0);
  });

  test('overlapped is a pipe here', async () => {
    const child = spawn('cat', { stdio: 'overlapped' });
    child.stdin.end('text');
    expect(String(await readAll(child.stdout))).toBe('text');
  });

  test('a silent fork has pipes, and its output is all there although it exits at once', async () => {
    for (let round = 0; round < 3; round++) {
      const child = fork('-e', ['process.stdout.write("x".repeat(50000), () => process.exit(3))'], {
        silent: true,
        execArgv: [],
      });
      const [output, [code]] = await Promise.all([readAll(child.stdout), once(child, 'close')]);
      expect([output.length, code]).toEqual([50_000, 3]);
    }
  });
});
