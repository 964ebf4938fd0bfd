// A reload under load fails no request; one to a release that does not start leaves the old one serving.

import fs from 'node:fs';
import http from 'node:http';
import os from 'node:os';
import path from 'node:path';

import { afterEach, expect, test } from 'vitest';

import { get, pids, started, stopAll } from '../helpers/supervisor.mjs';
import { fixture } from '../helpers/run_script.mjs';
import { sleep } from '../helpers/wait.mjs';

const RELOADS = Number(process.env.RCLUSTER_TEST_ROUNDS ?? 3);

afterEach(stopAll);

/** Clients that ask again and again until told to stop; what went wrong. */
function load(port, { count, keepAlive, pause = 0 }) {
  const state = { isOver: false };
  const seen = { requests: 0, errors: [] };
  const clients = Array.from({ length: count }, async () => {
    const agent = keepAlive ? new http.Agent({ keepAlive: true, maxSockets: 1 }) : false;
    while (!state.isOver) {
      try {
        const { status } = await get(port, '/', { agent });
        if (status !== 200) seen.errors.push(status);
        seen.requests++;
      } catch (error) {
        seen.errors.push(error.code);
      }
      if (pause > 0) await sleep(Math.random() * pause);
    }
    if (agent) agent.destroy();
  });
  return async () => {
    state.isOver = true;
    await Promise.all(clients);
    return seen;
  };
}

test.each([
  ['busy keep-alive connections', { count: 8, keepAlive: true }],
  ['keep-alive connections that are idle now and then', { count: 30, keepAlive: true, pause: 60 }],
  ['a connection for each request', { count: 4, keepAlive: false }],
])('reloads fail no request: %s', async (_, how) => {
  const { sup, port } = await started();
  const finish = load(port, how);
  for (let turn = 0; turn < RELOADS; turn++) {
    const before = pids(sup);
    expect(await sup.reload()).toMatchObject({ replaced: 2 });
    expect(pids(sup).filter((pid) => before.includes(pid))).toEqual([]);
  }
  const { requests, errors } = await finish();
  expect(errors).toEqual([]);
  expect(requests).toBeGreaterThan(RELOADS);
  expect(sup.status()).toMatchObject({ reloads: RELOADS, generation: RELOADS + 1, restarts: 0 });
});

test('a request that is under way is answered by the worker that has begun it', async () => {
  const { sup, get } = await started({ instances: 1 });
  const [before] = pids(sup);
  const slow = get('/slow?ms=500');
  await sleep(100);
  await sup.reload();
  expect((await slow).pid).toBe(before);
  expect((await get('/')).pid).toBe(pids(sup)[0]);
});

test('an idle connection moves to the new worker, and stays open', async () => {
  const { sup, get } = await started({ instances: 1 });
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  let connections = 0;
  const { createConnection } = agent;
  agent.createConnection = function (...args) {
    connections++;
    return createConnection.apply(this, args);
  };
  const before = await get('/', { agent });
  await sup.reload();
  const after = await get('/', { agent });
  expect(after.pid).not.toBe(before.pid);
  expect(connections).toBe(1);
  agent.destroy();
});

test('a release that crashes at its start is rejected with the reason, and the old one goes on', async () => {
  const { sup, get } = await started();
  const before = pids(sup);
  const error = await sup.reload({ env: { MODE: 'crash' } }).catch((reason) => reason);
  expect(error).toMatchObject({ code: 'ERR_RCLUSTER_RELOAD' });
  expect(error.message).toContain('crashed at the start, on purpose');
  expect(error.stderr).toContain('crashed at the start, on purpose');
  expect(pids(sup)).toEqual(before);
  expect((await get('/')).status).toBe(200);
  expect(sup.state).toBe('running');
  // What is started now is what serves.
  process.kill(before[0], 'SIGKILL');
  await new Promise((resolve) => sup.once('worker:ready', resolve));
  await sup.reload({ env: { VERSION: '2' } });
  expect((await get('/')).version).toBe('2');
});

test('a release that is never ready is rejected, and one that is gone', async () => {
  const { sup } = await started({ instances: 1, readyTimeout: 2000 });
  await expect(sup.reload({ env: { MODE: 'deaf' } })).rejects.toThrow('within 2000 ms');
  await expect(sup.reload({ exec: 'no/such/file.js' })).rejects.toMatchObject({
    code: 'ERR_RCLUSTER_RELOAD',
    message: expect.stringContaining('no/such/file.js'),
  });
  expect(sup.workers).toMatchObject([{ state: 'ready' }]);
});

test('the environment is read anew, and a link to a release followed anew', async () => {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'rcluster-release-'));
  try {
    for (const release of ['1', '2']) {
      fs.mkdirSync(path.join(directory, release));
      const app = fs
        .readFileSync(fixture('supervisor/app.cjs'), 'utf8')
        .replace('version: VERSION', `version: VERSION + '-${release}'`);
      fs.writeFileSync(path.join(directory, release, 'app.cjs'), app);
    }
    const current = path.join(directory, 'current');
    fs.symlinkSync('1', current);
    const envFile = path.join(directory, '.env');
    fs.writeFileSync(envFile, '# what this is\nVERSION="a"\n');
    const { sup, get } = await started({
      exec: path.join(current, 'app.cjs'),
      cwd: current,
      envFile,
      instances: 1,
    });
    expect((await get('/')).version).toBe('a-1');
    fs.unlinkSync(current);
    fs.symlinkSync('2', current);
    fs.writeFileSync(envFile, 'export VERSION=b # now\n');
    await sup.reload();
    expect((await get('/')).version).toBe('b-2');
  } finally {
    await stopAll();
    fs.rmSync(directory, { recursive: true });
  }
});
