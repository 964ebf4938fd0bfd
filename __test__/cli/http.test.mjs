// What the supervisor serves by HTTP.

import { once } from 'node:events';
import { renameSync } from 'node:fs';
import { get, request } from 'node:http';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { createRequire } from 'node:module';

import { afterAll, describe, expect, test } from 'vitest';

import { serveHttp, standIn, temporaryDirectory } from '../helpers/instance.mjs';

const require = createRequire(import.meta.url);
const { parseAddress } = require('../../lib/supervisor/http_address.js');

const { directory, remove } = temporaryDirectory();
afterAll(remove);

/** What an instance answers. */
async function fetched(instance, path, options = {}) {
  const http = await serveHttp(instance, { host: '127.0.0.1', port: 0 });
  try {
    const response = await fetch(new URL(path, http.url), options);
    return { status: response.status, headers: response.headers, body: await response.text() };
  } finally {
    await http.close();
  }
}

test('health follows the supervisor', async () => {
  expect(await fetched(standIn(), '/livez')).toMatchObject({ status: 200, body: 'ok\n' });
  expect(await fetched(standIn({ isLive: false }), '/livez')).toMatchObject({ status: 503 });
  expect(await fetched(standIn(), '/readyz')).toMatchObject({ status: 200 });
  expect(await fetched(standIn({ isReady: false }), '/readyz')).toMatchObject({
    status: 503,
    body: 'not ready\n',
  });
  expect(await fetched({ ...standIn(), supervisor: undefined }, '/readyz')).toMatchObject({ status: 503 });
});

test('there is nothing else, and nothing can be changed', async () => {
  expect(await fetched(standIn(), '/nothing')).toMatchObject({ status: 404 });
  expect(await fetched(standIn(), '/toString')).toMatchObject({ status: 404 });
  expect(await fetched(standIn(), '/metrics', { method: 'POST' })).toMatchObject({ status: 405 });
  expect(await fetched(standIn(), '/livez', { method: 'HEAD' })).toMatchObject({ status: 200, body: '' });
});

test('metrics are Prometheus text, or OpenMetrics for who asks, or JSON', async () => {
  const plain = await fetched(standIn(), '/metrics');
  expect(plain.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
  expect(plain.body).toContain('# TYPE rcluster_restarts_total counter\nrcluster_restarts_total 1\n');
  expect(plain.body).toContain('rcluster_worker_resident_memory_bytes{worker="1"} 1048576\n');

  const accept = 'application/openmetrics-text;version=1.0.0,text/plain;q=0.5';
  const open = await fetched(standIn(), '/metrics', { headers: { accept } });
  expect(open.headers.get('content-type')).toContain('application/openmetrics-text');
  expect(open.body).toContain('# TYPE rcluster_restarts counter\nrcluster_restarts_total 1\n');
  expect(open.body.endsWith('\n# EOF\n')).toBe(true);
  checkSyntax(open.body);

  const json = await fetched(standIn(), '/metrics', { headers: { accept: 'application/json' } });
  expect(JSON.parse(json.body)).toMatchObject({ workers: [{ id: 1, requests: { total: 11 } }] });
});

test('each series is there once, although a place is held by two processes during a reload', async () => {
  const instance = standIn();
  const [worker] = instance.supervisor.workers;
  instance.supervisor.workers = [worker, { ...worker, pid: 4243, uptime: 10, rss: 5 }];
  const { body } = await fetched(instance, '/metrics');
  checkSyntax(body);
  expect(body).toContain('rcluster_worker_resident_memory_bytes{worker="1"} 5\n');
});

/** No line is malformed, no series there twice, no family split. */
function checkSyntax(text) {
  const series = new Set();
  const families = [];
  for (const line of text.trimEnd().split('\n')) {
    if (line === '# EOF') continue;
    const [, kind, family] = /^# (HELP|TYPE) ([a-z_0-9]+) .+$/.exec(line) ?? [];
    if (kind === 'HELP') families.push(family);
    if (kind) continue;
    const [, name] =
      /^([a-zA-Z_:][\w:]*)(?:\{[a-z_]+="[^"]*"(?:,[a-z_]+="[^"]*")*\})? -?[\d.e+-]+$/.exec(line) ?? [];
    expect(line, 'a sample').toSatisfy(() => name?.startsWith(families.at(-1)));
    const key = line.slice(0, line.lastIndexOf(' '));
    expect(series.has(key), key).toBe(false);
    series.add(key);
  }
  expect(new Set(families).size).toBe(families.length);
  expect(families.length).toBeGreaterThan(20);
}

test('the page loads nothing, and its policy lets nothing be loaded', async () => {
  const { body, headers } = await fetched(standIn(), '/');
  expect(headers.get('content-type')).toContain('text/html');
  expect(headers.get('content-security-policy')).toMatch(/^default-src 'none'; script-src 'sha256-[^']+'; /);
  expect(body).not.toMatch(/(src|href)="(?!data:)/);
  const { body: status } = await fetched(standIn(), '/status.json');
  expect(JSON.parse(status)).toMatchObject({ status: { name: 'app' }, metrics: { time: 1000 } });
});

test('a unix socket serves too, also in the place of one that a killed instance has left', async () => {
  const path = join(directory, 'http.sock');
  const dead = createServer().listen(`${path}.first`);
  await once(dead, 'listening');
  // Closing would remove it, under its first name.
  renameSync(`${path}.first`, path);
  dead.close();

  const http = await serveHttp(standIn(), { path });
  expect(http.url).toBe(`unix:${path}`);
  const [response] = await once(get({ socketPath: path, path: '/livez', agent: false }), 'response');
  expect(response.statusCode).toBe(200);
  response.resume();
  await expect(serveHttp(standIn(), { path })).rejects.toMatchObject({ code: 'EADDRINUSE' });
  await http.close();
});

test('a port in use is an error', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  await expect(serveHttp(standIn(), { host: '127.0.0.1', port })).rejects.toMatchObject({
    code: 'EADDRINUSE',
  });
  server.close();
});

test('a request that is never finished does not hold up the end', async () => {
  const http = await serveHttp(standIn(), { host: '127.0.0.1', port: 0 });
  const open = request(new URL('/metrics', http.url), { method: 'POST', headers: { 'content-length': 10 } });
  open.on('error', () => {});
  open.flushHeaders();
  await once(open, 'socket');
  await http.close();
});

describe('addresses', () => {
  test.each([
    ['9464', { host: '127.0.0.1', port: 9464 }],
    [9464, { host: '127.0.0.1', port: 9464 }],
    [':9464', { host: '127.0.0.1', port: 9464 }],
    ['0.0.0.0:80', { host: '0.0.0.0', port: 80 }],
    ['localhost:0', { host: 'localhost', port: 0 }],
    ['[::1]:80', { host: '::1', port: 80 }],
    ['unix:/run/app.sock', { path: '/run/app.sock' }],
    ['localhost', undefined],
    ['localhost:99999', undefined],
    ['::1:80', undefined],
    ['http://localhost:80', undefined],
    ['', undefined],
    ['unix:', undefined],
  ])('%s', (text, address) => expect(parseAddress(text)).toEqual(address));
});
