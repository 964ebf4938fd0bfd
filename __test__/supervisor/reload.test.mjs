// A reload under load fails no request; one to a release that does not start leaves the old one serving.

import { once } from 'node:events';
import fs from 'node:fs';
import http from 'node:http';
import os from 'node:os';
import path from 'node:path';

import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { get, pids, started, stopAll } from '../helpers/supervisor.mjs';
import { fixture } from '../helpers/run_script.mjs';
import { sleep, waitFor } from '../helpers/wait.mjs';

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
])('reloads fail no request: %s', { timeout: 60_000 }, async (_, how) => {
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

/** Which release each worker runs. */
async function versions({ sup, port }) {
  const seen = new Map();
  await waitFor(async () => {
    const { place, version } = await get(port);
    seen.set(place, version);
    return seen.size === sup.workers.length;
  });
  return [...seen].sort(([a], [b]) => a - b).map(([, version]) => version);
}

test('a release that fails midway is taken back, and no request is lost', async () => {
  const { sup, port } = await started({ instances: 3 });
  const finish = load(port, { count: 6, keepAlive: true });
  const told = once(sup, 'reload');
  const error = await sup.reload({ env: { MODE: 'crash at 2', VERSION: '2' } }).catch((reason) => reason);
  expect(error).toMatchObject({ code: 'ERR_RCLUSTER_RELOAD', replaced: 0, rolledBack: 1 });
  expect(error.message).toContain('1 of 3 workers were replaced and have been put back');
  expect(error.message).toContain('crashed in the second place, on purpose');
  expect((await told)[0]).toMatchObject({ ok: false, replaced: 0, rolledBack: 1 });
  expect(await versions({ sup, port })).toEqual(['1', '1', '1']);
  // So does who comes after them.
  const ready = once(sup, 'worker:ready');
  process.kill(pids(sup)[0], 'SIGKILL');
  await ready;
  expect(await versions({ sup, port })).toEqual(['1', '1', '1']);
  expect(sup.status()).toMatchObject({ generation: 1, reloads: 0, state: 'running' });
  const { errors } = await finish();
  // The one that was killed by hand is all that has cost requests.
  expect(errors.length).toBeLessThanOrEqual(6);
});

describe('a release whose files were overwritten, and that fails midway', () => {
  let directory;
  const write = (start) =>
    fs.writeFileSync(
      path.join(directory, 'app.cjs'),
      `${start}\nrequire(${JSON.stringify(fixture('supervisor/app.cjs'))});`,
    );
  const NEW = "Object.assign(process.env, { VERSION: '2', MODE: 'crash at 2' });";
  const serving = (options) => started({ exec: path.join(directory, 'app.cjs'), ...options });

  beforeEach(() => {
    directory = fs.mkdtempSync(path.join(os.tmpdir(), 'rcluster-release-'));
    write('');
  });
  afterEach(async () => {
    await stopAll();
    fs.rmSync(directory, { recursive: true });
  });

  test('cannot be taken back: it says how many run what', async () => {
    const all = await serving();
    write(NEW);
    const error = await all.sup.reload().catch((reason) => reason);
    expect(error).toMatchObject({ code: 'ERR_RCLUSTER_RELOAD', replaced: 1, rolledBack: 0 });
    expect(error.message).toContain('1 of 2 workers run the new release, the others the old one');
    expect(await versions(all)).toEqual(['2', '1']);
    write('');
    await all.sup.reload();
    expect(await versions(all)).toEqual(['1', '1']);
  });

  test('changes nothing where all are replaced at once', async () => {
    const all = await serving({ reloadConcurrency: 2 });
    const before = pids(all.sup);
    const finish = load(all.port, { count: 6, keepAlive: true });
    write(NEW);
    const error = await all.sup.reload().catch((reason) => reason);
    expect(error).toMatchObject({ code: 'ERR_RCLUSTER_RELOAD', replaced: 0, rolledBack: 0 });
    expect(pids(all.sup)).toEqual(before);
    expect(await versions(all)).toEqual(['1', '1']);
    expect((await finish()).errors).toEqual([]);
    expect(all.sup.workers).toHaveLength(2);
  });
});

test('fewer workers are asked for during a reload', async () => {
  const { sup, get: ask } = await started({ instances: 3 });
  const reload = sup.reload();
  await once(sup, 'worker:start');
  expect(await sup.scale(1)).toBe(1);
  await reload;
  expect(sup.workers).toMatchObject([{ id: 1, state: 'ready', generation: 2 }]);
  expect((await ask('/')).status).toBe(200);
});
