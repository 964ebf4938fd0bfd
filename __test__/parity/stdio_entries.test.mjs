// Entries of `stdio` other than words: descriptors, streams, servers, and what they do to the parent's side.

import { once } from 'node:events';
import { closeSync, createWriteStream, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, describe, expect, test } from 'vitest';

import { fixture, runScript } from '../helpers/run_script.mjs';
import { both } from './both.mjs';

const directory = mkdtempSync(join(tmpdir(), 'rcluster-stdio-'));
afterAll(() => rmSync(directory, { recursive: true }));

/** What a child prints on its stdout. */
async function outputOf(child) {
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (data) => (text += data));
  await once(child, 'close');
  return text;
}

describe.each(both)('%s', (name, { spawn }) => {
  const file = (base) => join(directory, `${name}-${base}`);

  test('a descriptor, and an object that has one', async () => {
    const path = file('descriptor');
    const fd = openSync(path, 'w');
    const child = spawn('sh', ['-c', 'echo out; echo err >&2; echo three >&3'], {
      stdio: ['ignore', fd, { fd }, fd],
    });
    expect(child.stdio).toEqual([null, null, null, null]);
    expect(await once(child, 'close')).toEqual([0, null]);
    closeSync(fd);
    expect(readFileSync(path, 'utf8')).toBe('out\nerr\nthree\n');
  });

  test('a file stream that is open', async () => {
    const path = file('stream');
    const stream = createWriteStream(path);
    await once(stream, 'open');
    const child = spawn('echo', ['to the file'], { stdio: ['ignore', stream, 'inherit'] });
    await once(child, 'close');
    stream.end();
    await once(stream, 'close');
    expect(readFileSync(path, 'utf8')).toBe('to the file\n');
  });

  test('a file stream that is not open yet is refused', () => {
    const stream = createWriteStream(file('unopened'));
    expect(() => spawn('true', { stdio: ['ignore', stream] })).toThrow(
      expect.objectContaining({ code: 'ERR_INVALID_ARG_VALUE' }),
    );
    stream.destroy();
  });

  test('a socket is paused here and read by the child', async () => {
    const server = net.createServer({ allowHalfOpen: true }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const client = net.connect(server.address().port, '127.0.0.1');
    const [socket] = await once(server, 'connection');
    let seenHere = 0;
    socket.on('data', (data) => (seenHere += data.length));
    // Until the reading that this starts is under way; Node cannot take back what is only queued.
    await new Promise((resolve) => setImmediate(resolve));
    const child = spawn('cat', { stdio: [socket, 'pipe', 'inherit'] });
    expect(child.stdin).toBe(null);
    expect(socket.readableFlowing).toBe(false);
    client.end('from the client');
    expect(await outputOf(child)).toBe('from the client');
    expect(seenHere).toBe(0);
    socket.destroy();
    server.close();
  });

  test('a stream of another child', async () => {
    const first = spawn('sh', ['-c', 'sleep 0.1; echo through two'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const second = spawn('tr', ['a-z', 'A-Z'], { stdio: [first.stdout, 'pipe', 'inherit'] });
    expect(await outputOf(second)).toBe('THROUGH TWO\n');
    first.stdout.destroy();
  });

  test.each([
    ['a server', (server) => server],
    ['its handle', (server) => server._handle],
  ])('%s of a TCP port', async (what, given) => {
    // Node's spawn throws once the child has been started.
    if (name === 'node' && what === 'a server') return;
    const server = net.createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const child = spawn('readlink', ['/proc/self/fd/3'], {
      stdio: ['ignore', 'pipe', 'inherit', given(server)],
    });
    expect(await outputOf(child)).toMatch(/^socket:\[\d+\]\n$/);
    expect(server.listening).toBe(true);
    server.close();
  });

  test('stdout and stderr change places, and inherited ones arrive where they belong', async () => {
    const { stdout, stderr } = await runScript(fixture('inherited_stdio.cjs'), {
      module: name,
      args: ['swap'],
    });
    expect({ stdout, stderr }).toEqual({ stdout: 'err\nout\n', stderr: 'out\nerr\n' });
  });

  test('an inherited pipe that this process made non-blocking loses nothing', async () => {
    const { stdout, code } = await runScript(fixture('inherited_stdio.cjs'), { module: name, args: ['seq'] });
    const lines = stdout.trim().split('\n');
    expect([lines.length, lines[0], lines.at(-1), code]).toEqual([300_002, 'before', 'after 0', 0]);
  });

  test('an inherited stdin that is closed is /dev/null, not what opens next', async () => {
    const { stdout } = await runScript(fixture('inherited_stdio.cjs'), { module: name, args: ['closed'] });
    expect(stdout).toBe('/dev/null\n');
  });
});
