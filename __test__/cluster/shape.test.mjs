// Every property, method, event and variable of the running Node line is there as it is in Node; what is ours alone
// is named here.

import { beforeAll, expect, test } from 'vitest';

import { fixture, runScript } from '../helpers/run_script.mjs';

const inBoth = [
  'SCHED_LEAST_CONN',
  'SCHED_LEAST_LOAD',
  'SCHED_REUSEPORT',
  'SCHED_STICKY',
  'availableParallelism',
  'coverage',
  'listenFds',
  'native',
  'onRequest',
];
const ours = {
  cluster: [...inBoth, 'broadcast', 'loads'],
  prototype: ['isPaused', 'load', 'onRequest', 'pause', 'request', 'resume', 'weight'],
  inWorker: {
    cluster: inBoth,
    prototype: ['onRequest', 'request'],
    worker: ['broadcast', 'requestTo', 'sendTo'],
  },
};

let node;
let rcluster;
beforeAll(async () => {
  [node, rcluster] = await Promise.all(
    ['node', 'rcluster'].map(async (module) => {
      const { stdout, stderr } = await runScript(fixture('cluster_shape.cjs'), { module });
      expect(stderr).toBe('');
      return JSON.parse(stdout);
    }),
  );
});

/** A shape without what is ours, which has to be there. */
function without(shape, names) {
  const rest = { ...shape };
  for (const name of names) {
    expect(Object.keys(rest)).toContain(name);
    delete rest[name];
  }
  return rest;
}

test('in the primary', () => {
  const { cluster, prototype, inWorker, ...rest } = rcluster;
  const { cluster: nodeCluster, prototype: nodePrototype, inWorker: nodeInWorker, ...nodeRest } = node;
  expect(without(cluster, ours.cluster)).toEqual(nodeCluster);
  expect(without(prototype, ours.prototype)).toEqual(nodePrototype);
  // The workers, the settings, the events and what comes with them.
  expect(rest).toEqual(nodeRest);
});

test('in a worker', () => {
  const { cluster, prototype, worker, ...rest } = rcluster.inWorker;
  const { cluster: nodeCluster, prototype: nodePrototype, worker: nodeWorker, ...nodeRest } = node.inWorker;
  expect(without(cluster, ours.inWorker.cluster)).toEqual(nodeCluster);
  expect(without(prototype, ours.inWorker.prototype)).toEqual(nodePrototype);
  expect(without(worker, ours.inWorker.worker)).toEqual(nodeWorker);
  // The environment and the listeners of the process too.
  expect(rest).toEqual(nodeRest);
});

test('what is ours does not show in an enumeration of a worker', () => {
  for (const name of ours.prototype) expect(rcluster.prototype[name][1].enumerable).toBe(false);
});
