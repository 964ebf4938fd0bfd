import { once } from 'node:events';
import net from 'node:net';

import { afterEach, describe, expect, test } from 'vitest';

import { call, cluster, endAll, greeted, listenAll, startWorker, startWorkers } from '../helpers/cluster.mjs';
import { endScripts, fixture, runScript } from '../helpers/run_script.mjs';
import { sleep, waitFor } from '../helpers/wait.mjs';

const nodeMajor = Number(process.versions.node.split('.', 1)[0]);

afterEach(endAll);
afterEach(endScripts);

/** The names of the cluster's events about a worker from now on, in order. */
function record(worker) {
  const events = [];
  for (const name of ['fork', 'online', 'listening', 'disconnect', 'exit']) {
    cluster.on(name, (which) => which === worker && events.push(name));
  }
  return events;
}

describe.each([
  ['that load rcluster', false],
  ["on Node's own cluster", true],
])('workers %s', (_, stock) => {
  test('close their servers, end, and free the port', async () => {
    const workers = await startWorkers(2, { stock });
    const port = await listenAll(workers);
    const exits = workers.map((worker) => once(worker, 'exit'));
    await new Promise((resolve) => cluster.disconnect(resolve));
    expect(await Promise.all(exits)).toEqual([
      [0, null],
      [0, null],
    ]);
    expect(workers.map(({ exitedAfterDisconnect }) => exitedAfterDisconnect)).toEqual([true, true]);
    expect(cluster.workers).toEqual({});
    const server = net.createServer().listen(port, '127.0.0.1');
    await once(server, 'listening');
    await new Promise((resolve) => server.close(resolve));
  });

  test('leave the list at once and keep the connections they have', async () => {
    const worker = await startWorker({ stock });
    const port = await listenAll([worker], 'hold');
    const { socket } = await greeted(port);
    const events = record(worker);
    worker.disconnect();
    expect(cluster.workers[worker.id]).toBeUndefined();
    expect(worker.exitedAfterDisconnect).toBe(true);
    expect(worker.isConnected()).toBe(true);
    const refused = net.connect(port, '127.0.0.1');
    expect((await once(refused, 'error'))[0].code).toBe('ECONNREFUSED');
    // Its end waits for the connection.
    expect(events).toEqual([]);
    socket.end();
    await once(worker, 'exit');
    expect(events.sort()).toEqual(['disconnect', 'exit']);
  });

  test('that end by themselves did not exit after a disconnect', async () => {
    const worker = await startWorker({ stock });
    await listenAll([worker]);
    void call(worker, 'exit', 7);
    const [code, signal] = await once(worker, 'exit');
    expect([code, signal, worker.exitedAfterDisconnect]).toEqual([7, null, false]);
    expect(worker.isDead()).toBe(true);
  });
});

test('a worker is killed by the signal that is asked for', async () => {
  const worker = await startWorker();
  worker.kill('SIGINT');
  expect(await once(worker, 'exit')).toEqual([null, 'SIGINT']);
  expect(worker.exitedAfterDisconnect).toBe(false);
});

test('a worker whose event loop is blocked is killed too', async () => {
  const worker = await startWorker();
  await call(worker, 'block');
  worker.kill();
  expect(await once(worker, 'exit')).toEqual([null, 'SIGTERM']);
});

test('a connection whose request is on its way when its worker is disconnected is answered', async () => {
  for (let round = 0; round < 5; round++) {
    const worker = await startWorker();
    const port = await listenAll([worker], 'http');
    const socket = net.connect(port, '127.0.0.1').setEncoding('latin1');
    await once(socket, 'connect');
    await waitFor(() => worker.load.open === 1);
    const exit = once(worker, 'exit');
    worker.disconnect();
    // The worker hears of it, and closes its server.
    await sleep(50);
    socket.write('GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n');
    let answer = '';
    for await (const text of socket) answer += text;
    expect(answer).toMatch(new RegExp(`^HTTP/1.1 200 OK[^]*${worker.id}`));
    expect(await exit).toEqual([0, null]);
  }
});

test.runIf(nodeMajor >= 26)(
  'one that stays silent does not keep the worker (on older lines it does, as with Node)',
  async () => {
    const worker = await startWorker();
    const port = await listenAll([worker], 'http');
    const socket = net.connect(port, '127.0.0.1');
    await waitFor(() => worker.load?.open === 1);
    worker.disconnect();
    await once(worker, 'exit');
    socket.destroy();
  },
);

test('a worker that is told twice to disconnect ends well (of Node some fail)', async () => {
  const { stdout, stderr } = await runScript(fixture('cluster_told_twice.cjs'), {
    module: 'node',
    execArgv: ['--require', 'rcluster/register'],
  });
  expect({ codes: JSON.parse(stdout), stderr }).toEqual({ codes: [0, 0, 0, 0, 0], stderr: '' });
});

test('disconnect() without workers calls back, not at once', async () => {
  let isCalled = false;
  const called = new Promise((resolve) =>
    cluster.disconnect(() => {
      isCalled = true;
      resolve();
    }),
  );
  expect(isCalled).toBe(false);
  await called;
});
