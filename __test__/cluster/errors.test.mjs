import { once } from 'node:events';
import net from 'node:net';

import { afterEach, expect, test } from 'vitest';

import { call, cluster, endAll, startWorker, startWorkers, takerOf } from '../helpers/cluster.mjs';

afterEach(endAll);

test('a port in use is reported to each worker, and one that is free again is taken', async () => {
  const other = net.createServer().listen(0, '127.0.0.1');
  await once(other, 'listening');
  const { port } = other.address();
  const workers = await startWorkers(2);
  for (const worker of workers) {
    const options = { port, host: '127.0.0.1' };
    await expect(call(worker, 'listen', options)).rejects.toMatchObject({
      code: 'EADDRINUSE',
      errno: -98,
      syscall: 'bind',
      address: '127.0.0.1',
      port,
      message: `bind EADDRINUSE 127.0.0.1:${port}`,
    });
  }
  await new Promise((resolve) => other.close(resolve));
  await call(workers[0], 'listen', { port, host: '127.0.0.1' });
  expect(await takerOf(port)).toBe(workers[0].id);
});

test('a port in use by a server without a host is in use', async () => {
  const other = net.createServer().listen(0);
  await once(other, 'listening');
  const { port } = other.address();
  const worker = await startWorker();
  await expect(call(worker, 'listen', { port })).rejects.toMatchObject({ code: 'EADDRINUSE' });
  other.close();
});

test('an address that is not of this machine and a directory that does not exist are reported', async () => {
  const worker = await startWorker();
  const options = { port: 0, host: '192.0.2.1' };
  await expect(call(worker, 'listen', options)).rejects.toMatchObject({ code: 'EADDRNOTAVAIL' });
  const path = '/nonexistent/socket';
  await expect(call(worker, 'listen', { path })).rejects.toMatchObject({ code: 'EACCES' });
  await expect(call(worker, 'listen', { fd: 987 })).rejects.toMatchObject({ code: 'EINVAL' });
});

test('the directory of the primary is no socket of its own', async () => {
  const worker = await startWorker();
  const path = process.cwd();
  await expect(call(worker, 'listen', { path })).rejects.toMatchObject({ code: 'EADDRINUSE' });
});

test.skipIf(process.getuid() === 0)('a port without permission is reported', async () => {
  const worker = await startWorker();
  const options = { port: 80, host: '127.0.0.1' };
  await expect(call(worker, 'listen', options)).rejects.toMatchObject({ code: 'EACCES', syscall: 'bind' });
});

test('a worker cannot fork', async () => {
  const worker = await startWorker();
  expect(await call(worker, 'typeOf', 'fork')).toBe('undefined');
  expect(await call(worker, 'typeOf', 'setupPrimary')).toBe('undefined');
});

test.each([null, 70_000, -1, 'x'])('an inspector port %j is refused', (inspectPort) => {
  cluster.setupPrimary({ execArgv: ['--inspect'], inspectPort });
  try {
    expect(() => cluster.fork()).toThrow(
      expect.objectContaining({ code: 'ERR_SOCKET_BAD_PORT', name: 'RangeError' }),
    );
  } finally {
    cluster.setupPrimary({ execArgv: [], inspectPort: undefined });
  }
  expect(Object.keys(cluster.workers)).toEqual([]);
});
