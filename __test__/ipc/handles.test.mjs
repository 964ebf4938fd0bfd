// Servers, sockets and datagram sockets travel with messages, both ways, and keep their order among them.

import dgram from 'node:dgram';
import { once } from 'node:events';
import http from 'node:http';
import net from 'node:net';
import path from 'node:path';
import os from 'node:os';
import { describe, expect, test } from 'vitest';

import { ask, collect, nextMessage, withChild } from '../helpers/ipc.mjs';
import { expectNoLeaks } from '../helpers/leaks.mjs';
import { fixture, runScript } from '../helpers/run_script.mjs';
import { waitFor } from '../helpers/wait.mjs';
import { both, ours } from '../parity/both.mjs';

/** Of handles that cross. */
const ROUNDS = 1000 * Number(process.env.RCLUSTER_TEST_ROUNDS ?? 1);

async function listening(server, ...where) {
  server.listen(...(where.length > 0 ? where : [0, '127.0.0.1']));
  await once(server, 'listening');
  return server;
}

async function readAll(socket) {
  let text = '';
  for await (const chunk of socket.setEncoding('utf8')) text += chunk;
  return text;
}

/** Both ends of a new connection to `server`. */
async function connectionTo(server) {
  const [[accepted], client] = await Promise.all([
    once(server, 'connection'),
    (async () => {
      const socket = net.connect(server.address());
      await once(socket, 'connect');
      return socket;
    })(),
  ]);
  return { accepted, client };
}

/** Talks over a connection whose other end the child has. */
async function talk(client) {
  client.write('hello');
  const [data] = await once(client, 'data');
  client.end();
  await once(client, 'close');
  return String(data);
}

function connections(server) {
  return new Promise((resolve, reject) => {
    server.getConnections((error, count) => (error ? reject(error) : resolve(count)));
  });
}

describe.each(both)('%s', (name, childProcess) => {
  describe.each(['json', 'advanced'])('%s', (serialization) => {
    const options = { childProcess, serialization };

    test('the callback of a message with a handle comes before the answer to it', () =>
      withChild(options, async (child) => {
        const socket = dgram.createSocket('udp4').bind(0, '127.0.0.1');
        await once(socket, 'listening');
        for (let round = 0; round < 5; round++) {
          const order = [];
          const answer = nextMessage(child).then(() => order.push('answer'));
          child.send({ command: 'datagram' }, socket, () => order.push('callback'));
          // The answer is there when the loop turns.
          const until = performance.now() + 20;
          while (performance.now() < until);
          await answer;
          expect(order).toEqual(['callback', 'answer']);
        }
        socket.close();
      }));

    test('a server, listening in the child too', () =>
      withChild(options, async (child) => {
        const server = await listening(net.createServer());
        expect(await ask(child, { command: 'server' }, server)).toBe('listening');
        const address = server.address();
        server.close();
        await once(server, 'close');
        expect(await readAll(net.connect(address))).toBe('from the child');
      }));

    test('a server on a path', () =>
      withChild(options, async (child) => {
        const file = path.join(os.tmpdir(), `rcluster-${process.pid}-${serialization}-${name}.sock`);
        const server = await listening(net.createServer(), file);
        expect(await ask(child, { command: 'server' }, server)).toBe('listening');
        const client = net.connect(file);
        server.on('connection', (socket) => socket.end('from the parent'));
        expect(await readAll(client)).toMatch(/^from the (child|parent)$/);
        server.close();
      }));

    test('a socket, which is given up, and which its server counts until it ends', () =>
      withChild(options, async (child) => {
        const server = await listening(net.createServer({ pauseOnConnect: true }));
        const { accepted, client } = await connectionTo(server);
        expect(await ask(child, { command: 'socket' }, accepted)).toBe('socket taken');
        expect(await connections(server)).toBe(1);
        const closed = once(server, 'close');
        server.close();
        expect(await talk(client)).toBe('child: hello');
        await closed;
      }));

    test('a socket with keepOpen stays with both', () =>
      withChild(options, async (child) => {
        const server = await listening(net.createServer({ pauseOnConnect: true }));
        const { accepted, client } = await connectionTo(server);
        expect(await ask(child, { command: 'socket' }, accepted, { keepOpen: true })).toBe('socket taken');
        expect(accepted.destroyed).toBe(false);
        accepted.write('from the parent');
        expect(String((await once(client, 'data'))[0])).toBe('from the parent');
        accepted.destroy();
        expect(await talk(client)).toBe('child: hello');
        server.close();
      }));

    test('the socket of an HTTP request', () =>
      withChild(options, async (child) => {
        const server = await listening(http.createServer());
        const client = net.connect(server.address());
        client.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
        const [request] = await once(server, 'request');
        expect(await ask(child, { command: 'socket' }, request.socket)).toBe('socket taken');
        expect(await talk(client)).toBe('child: hello');
        server.close();
      }));

    test('a datagram socket', () =>
      withChild(options, async (child) => {
        const socket = dgram.createSocket('udp4').bind(0, '127.0.0.1');
        await once(socket, 'listening');
        expect(await ask(child, { command: 'datagram' }, socket)).toBe('datagram taken');
        const { port } = socket.address();
        socket.close();
        const client = dgram.createSocket('udp4');
        client.send('hello', port, '127.0.0.1');
        expect(String((await once(client, 'message'))[0])).toBe('child: hello');
        client.close();
      }));

    test('handles from the child', () =>
      withChild(options, async (child) => {
        const server = await ask(child, { command: 'sendServer' });
        expect([server.message, server.handle]).toEqual(['server', expect.any(net.Server)]);
        server.handle.on('connection', (socket) => socket.end('from the parent'));
        expect(await readAll(net.connect(server.handle.address()))).toBe('from the parent');
        server.handle.close();

        const datagram = await ask(child, { command: 'sendDatagram' });
        expect([datagram.message, datagram.handle]).toEqual(['datagram', expect.any(dgram.Socket)]);
        datagram.handle.close();
      }));

    test('connections from the child, whose server counts them and waits for them', () =>
      withChild(options, async (child) => {
        const { port } = await ask(child, { command: 'sendSockets' });
        const clients = [];
        const sockets = [];
        for (let index = 0; index < 3; index++) {
          const passed = nextMessage(child);
          clients.push(net.connect(port, '127.0.0.1'));
          const { message, handle } = await passed;
          expect([message, handle]).toEqual(['connection', expect.any(net.Socket)]);
          handle.resume();
          sockets.push(handle);
        }
        expect(await ask(child, { command: 'getConnections' })).toEqual({ connections: 3 });
        const closed = nextMessage(child);
        child.send({ command: 'close' });
        for (const socket of sockets) socket.end('from the parent');
        for (const client of clients) expect(await readAll(client)).toBe('from the parent');
        expect(await closed).toBe('closed');
      }));

    test('raw handles', () =>
      withChild(options, async (child) => {
        const server = await listening(net.createServer());
        const raw = await ask(child, { command: 'handBack' }, server._handle);
        expect([raw.message.kind, raw.handle.constructor.name]).toEqual(['TCP', 'TCP']);
        raw.handle.close();
        server.close();
      }));

    test('messages behind handles keep their place', () =>
      withChild(options, async (child) => {
        const server = await listening(net.createServer());
        const messages = collect(child, 40);
        const returned = [];
        for (let index = 0; index < 40; index++) {
          const handle = index % 4 === 0 ? server : undefined;
          returned.push(child.send({ command: 'echo', value: { index } }, handle));
        }
        expect((await messages).map(({ index }) => index)).toEqual(Array.from({ length: 40 }, (_, at) => at));
        // The handle itself, then the first of those that wait.
        expect(returned.map((value, index) => (value ? index : -1)).filter((index) => index >= 0)).toEqual([
          0, 1,
        ]);
        server.close();
      }));

    test('a server that does not listen, and a socket sent twice, go as messages alone', () =>
      withChild(options, async (child) => {
        expect(await ask(child, { command: 'echo', value: 'alone' }, net.createServer())).toBe('alone');
        const server = await listening(net.createServer({ pauseOnConnect: true }));
        const { accepted, client } = await connectionTo(server);
        expect(await ask(child, { command: 'socket' }, accepted)).toBe('socket taken');
        expect(await ask(child, { command: 'socket' }, accepted)).toBe('no socket');
        expect(await talk(client)).toBe('child: hello');
        server.close();
      }));
  });
});

test('nothing is left open', async () => {
  const round = () =>
    withChild({}, async (child) => {
      const server = await listening(net.createServer({ pauseOnConnect: true }));
      const other = await listening(net.createServer());
      for (let index = 0; index < 10; index++) {
        const { accepted, client } = await connectionTo(server);
        expect(await ask(child, { command: 'socket' }, accepted)).toBe('socket taken');
        const { handle } = await ask(child, { command: 'handBack' }, other);
        handle.close();
        client.destroy();
      }
      other.close();
      server.close();
    });
  await round();
  await expectNoLeaks(round);
});

test('sockets that never reach a child that went are closed', async () => {
  const round = () =>
    withChild({}, async (child) => {
      await ask(child, { command: 'echo', value: 'up' });
      const server = await listening(net.createServer({ pauseOnConnect: true }));
      child.send({ command: 'block', milliseconds: 5000 });
      const { accepted, client } = await connectionTo(server);
      child.send({ command: 'socket' }, accepted);
      const error = new Promise((resolve) => child.send('behind it', resolve));
      child.kill('SIGKILL');
      await once(child, 'disconnect');
      expect(await error).toMatchObject({ code: 'ERR_IPC_CHANNEL_CLOSED' });
      client.on('error', () => {});
      if (!client.destroyed) await once(client.resume(), 'close');
      server.close();
    });
  await round();
  await expectNoLeaks(round);
});

test('a handle that is refused is sent again, three times, then given up with a warning', async () => {
  // Speaks the protocol by itself, without receiving descriptors.
  const child = ours.spawn(
    '/bin/sh',
    ['-c', 'exec env -u NODE_CHANNEL_FD "$@"', 'sh', process.execPath, fixture('ipc_refusing.cjs')],
    {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    },
  );
  const server = await listening(net.createServer({ pauseOnConnect: true }));
  const { accepted, client } = await connectionTo(server);
  const warning = once(process, 'warning');
  const answer = nextMessage(child);
  child.send('with a socket', accepted);
  child.send('behind it');
  expect((await warning)[0]).toMatchObject({ name: 'SentHandleNotReceivedWarning' });
  expect(await answer).toEqual({ refused: 4 });
  await waitFor(() => client.destroyed || client.resume().readableEnded);
  child.disconnect();
  await once(child, 'exit');
  server.close();
});

test(
  'a handle that arrives takes no wake-up from messages that wait for room',
  { timeout: 30_000 + ROUNDS * 20 },
  async () => {
    const result = await runScript(fixture('ipc_crossing_handles.cjs'), {
      args: [String(ROUNDS), String(Date.now() % 1e6)],
      env: { RCLUSTER_IPC: '' },
      timeout: 20_000 + ROUNDS * 20,
    });
    expect(result).toMatchObject({ code: 0, stdout: 'ring\n', stderr: '' });
  },
);
