import { once } from 'node:events';

import { afterEach, expect, test } from 'vitest';

import { cluster, endAll, startWorker } from '../helpers/cluster.mjs';

afterEach(endAll);

test("it is Node's own cluster object, of a primary", async () => {
  const { default: nodeCluster } = await import('node:cluster');
  expect(cluster).toBe(nodeCluster);
  expect(cluster).toMatchObject({ isPrimary: true, isMaster: true, isWorker: false, native: true });
  expect(cluster.setupMaster).toBe(cluster.setupPrimary);
});

test('settings add up, and each call is told on the next tick', async () => {
  cluster.setupPrimary({ exec: 'one.js', silent: true });
  const told = once(cluster, 'setup');
  cluster.setupPrimary({ args: ['two'] });
  expect(cluster.settings).toMatchObject({
    exec: 'one.js',
    silent: true,
    args: ['two'],
    execArgv: process.execArgv,
  });
  const [settings] = await told;
  expect(settings).toMatchObject({ exec: 'one.js', silent: true });
  cluster.setupPrimary({ silent: false });
});

test('a worker is forked, then online, with the next number', async () => {
  const events = [];
  for (const name of ['fork', 'online']) cluster.on(name, ({ id }) => events.push(`${name} ${id}`));
  const { id } = await startWorker();
  const next = await startWorker();
  expect(next.id).toBe(id + 1);
  expect(events).toEqual([`fork ${id}`, `online ${id}`, `fork ${next.id}`, `online ${next.id}`]);
  expect(Object.keys(cluster.workers)).toEqual([`${id}`, `${next.id}`]);
  expect(next).toBeInstanceOf(cluster.Worker);
});

test('the policy is frozen by the first set-up', async () => {
  cluster.schedulingPolicy = 77;
  const worker = await startWorker();
  expect(worker.isConnected()).toBe(true);
  cluster.schedulingPolicy = cluster.SCHED_RR;
});

test('profiles get a file each', () => {
  cluster.setupPrimary({ execArgv: ['--prof'] });
  expect(cluster.settings.execArgv).toEqual(['--prof', '--logfile=v8-%p.log']);
  cluster.setupPrimary({ execArgv: ['--prof', '--logfile=x'] });
  expect(cluster.settings.execArgv).toEqual(['--prof', '--logfile=x']);
  cluster.setupPrimary({ execArgv: [] });
});
