import { readFileSync } from 'node:fs';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';

import { createRequire } from 'node:module';

import { afterEach, expect, test } from 'vitest';

import { call, cluster, endAll, startWorker, startWorkers } from '../helpers/cluster.mjs';
import { fixture, runScript } from '../helpers/run_script.mjs';

const { cgroupQuota } = createRequire(import.meta.url)('../../lib/cluster/processors.js');

afterEach(endAll);

function statusOf({ process: { pid } }, name) {
  return new RegExp(`^${name}:\\s*(.*)$`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'latin1'))[1];
}

test('settings set in the process of every worker, and arguments of fork in that of one', async () => {
  const worker = await startWorker({ settings: { nice: 3 } });
  const other = await startWorker({ extras: { nice: 5, rlimits: { nofile: 500 } } });
  expect(os.getPriority(worker.process.pid)).toBe(3);
  expect(os.getPriority(other.process.pid)).toBe(5);
  expect(readFileSync(`/proc/${other.process.pid}/limits`, 'latin1')).toMatch(/Max open files +500 +500/);
  cluster.setupPrimary({ nice: undefined });
});

test('workers are spread over the processors, and a replacement gets the place of the lost one', async () => {
  const all = expandList(
    readFileSync('/proc/self/status', 'latin1').match(/^Cpus_allowed_list:\s*(.*)$/m)[1],
  );
  cluster.setupPrimary({ affinity: 'spread' });
  const workers = [];
  for (let i = 0; i < 2; i++) workers.push(await startWorker());
  const lists = workers.map((worker) => statusOf(worker, 'Cpus_allowed_list'));
  expect(lists).toEqual([`${all[0]}`, `${all[1 % all.length]}`]);
  cluster.setupPrimary({ affinity: [[all[0]], all] });
  await endAll();
  const [first] = await startWorkers(1);
  expect(statusOf(first, 'Cpus_allowed_list')).toBe(`${all[0]}`);
  expect(() => cluster.setupPrimary({ affinity: 'all' }) ?? cluster.fork()).toThrow(
    expect.objectContaining({ code: 'ERR_INVALID_ARG_VALUE' }),
  );
  cluster.setupPrimary({ affinity: undefined });
});

function expandList(list) {
  return list.split(',').flatMap((range) => {
    const [first, last = first] = range.split('-').map(Number);
    return Array.from({ length: last - first + 1 }, (_, at) => first + at);
  });
}

test('the quota of a cgroup, or of one above it, counts', () => {
  const root = mkdtempSync(path.join(os.tmpdir(), 'cgroup-'));
  try {
    mkdirSync(path.join(root, 'a/b'), { recursive: true });
    const quota = () => cgroupQuota(root, '0::/a/b\n');
    expect(quota()).toBe(Infinity);
    writeFileSync(path.join(root, 'a/b/cpu.max'), 'max 100000\n');
    expect(quota()).toBe(Infinity);
    writeFileSync(path.join(root, 'a/cpu.max'), '150000 100000\n');
    expect(quota()).toBe(1.5);
    mkdirSync(path.join(root, 'cpu,cpuacct/x'), { recursive: true });
    writeFileSync(path.join(root, 'cpu,cpuacct/x/cpu.cfs_quota_us'), '50000\n');
    writeFileSync(path.join(root, 'cpu,cpuacct/x/cpu.cfs_period_us'), '100000\n');
    expect(cgroupQuota(root, '4:cpu,cpuacct:/x\n2:memory:/x\n')).toBe(0.5);
  } finally {
    rmSync(root, { recursive: true });
  }
  expect(cluster.availableParallelism()).toBeGreaterThanOrEqual(1);
  expect(cluster.availableParallelism()).toBeLessThanOrEqual(os.availableParallelism());
});

test('a message to all', async () => {
  const workers = await startWorkers(2);
  const answered = workers.map(
    (worker) =>
      new Promise((resolve) => worker.on('message', ({ id, result }) => id === -1 && resolve(result))),
  );
  expect(cluster.broadcast({ id: -1, call: 'heldCount', args: [] })).toBe(2);
  expect(await Promise.all(answered)).toEqual([0, 0]);
  expect(await call(workers[0], 'heldCount')).toBe(0);
});

test("systemd's sockets by name, for the process they are meant for", async () => {
  const { stdout } = await runScript(fixture('listen_fds.cjs'));
  expect(JSON.parse(stdout)).toEqual({
    none: [],
    primary: [
      { fd: 3, name: 'web' },
      { fd: 4, name: 'unknown' },
    ],
  });
});
