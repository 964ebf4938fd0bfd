// Workers whose script never loads cluster, nor rcluster, with each kind of server: they serve, and disconnect() ends
// them.

import { once } from 'node:events';
import http2 from 'node:http2';
import https from 'node:https';
import http from 'node:http';
import net from 'node:net';
import tls from 'node:tls';

import { afterEach, expect, test } from 'vitest';

import { cluster, endAll } from '../helpers/cluster.mjs';
import { fixture } from '../helpers/run_script.mjs';

afterEach(async () => {
  cluster.setupPrimary({ exec: fixture('cluster_worker.cjs'), args: [] });
  await endAll();
});

async function textOf(stream) {
  return Buffer.concat(await stream.toArray()).toString();
}

const rejectUnauthorized = false;

async function get(module, port) {
  const request = module.get({ port, host: '127.0.0.1', agent: false, rejectUnauthorized });
  const [response] = await once(request, 'response');
  return textOf(response);
}

const clients = {
  net: (port) => textOf(net.connect(port, '127.0.0.1')),
  tls: (port) => textOf(tls.connect({ port, host: '127.0.0.1', rejectUnauthorized })),
  http: (port) => get(http, port),
  https: (port) => get(https, port),
  async http2(port) {
    const session = http2.connect(`https://127.0.0.1:${port}`, { rejectUnauthorized });
    const text = await textOf(session.request({ ':path': '/' }));
    session.close();
    return text;
  },
};

test.each(Object.keys(clients))('%s', async (kind) => {
  cluster.setupPrimary({ exec: fixture('cluster_unaware.cjs'), args: [kind], execArgv: [] });
  const workers = [cluster.fork(), cluster.fork()];
  const [[{ port }]] = await Promise.all(workers.map((worker) => once(worker, 'listening')));
  for (let i = 0; i < 4; i++) expect(await clients[kind](port)).toBe('served');
  const exits = workers.map((worker) => once(worker, 'exit'));
  await new Promise((resolve) => cluster.disconnect(resolve));
  expect(await Promise.all(exits)).toEqual([
    [0, null],
    [0, null],
  ]);
});
