// SCHED_NONE, in a file of its own: the policy is frozen by the first worker. And datagrams, always shared.

import dgram from 'node:dgram';
import { once } from 'node:events';

import { afterEach, beforeAll, describe, expect, test } from 'vitest';

import { call, cluster, endAll, listenAll, startWorkers, takerOf } from '../helpers/cluster.mjs';

beforeAll(() => {
  cluster.schedulingPolicy = cluster.SCHED_NONE;
});
afterEach(endAll);

describe.each([
  ['that load rcluster', false],
  ["on Node's own cluster", true],
])('workers %s', (_, stock) => {
  test('accept for themselves', async () => {
    const workers = await startWorkers(2, { stock });
    const port = await listenAll(workers);
    const ids = workers.map(({ id }) => id);
    for (let i = 0; i < 10; i++) expect(ids).toContain(await takerOf(port));
    // The socket is open until the last of them goes.
    await call(workers[0], 'close', 0);
    expect(await takerOf(port)).toBe(workers[1].id);
    await call(workers[1], 'close', 0);
    await expect(takerOf(port)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  });

  test('share a datagram socket', async () => {
    const workers = await startWorkers(2, { stock });
    const first = await call(workers[0], 'udp', 0);
    const second = await call(workers[1], 'udp', 0);
    expect(second.port).toBe(first.port);
    const client = dgram.createSocket('udp4');
    client.send('who?', first.port, '127.0.0.1');
    const [answer] = await once(client, 'message');
    expect(workers.map(({ id }) => id)).toContain(Number(answer));
    client.close();
  });

  test('are told of a port in use', async () => {
    const workers = await startWorkers(1, { stock });
    const other = dgram.createSocket('udp4').bind(0, '127.0.0.1');
    await once(other, 'listening');
    const { port } = other.address();
    await expect(call(workers[0], 'udp', port)).rejects.toMatchObject({ code: 'EADDRINUSE', port });
    other.close();
  });
});
