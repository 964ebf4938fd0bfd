'use strict';
// @ts-check

// What users hold of `cluster`: Node's own object, with functions of ours on it that are there from the start, while
// what they do is loaded by the first call.

const { either, later, lazyFunction, lazyFunctions } = require('../lazy');
const platform = require('../platform');
const {
  assign,
  bareDescriptor,
  builtin,
  defineProperties,
  getOwnPropertyDescriptor,
  methodDescriptor,
} = require('../untampered');
const { policies } = require('./policies');

/**
 * @typedef {object} Nodes Node's own, where ours stand in their place
 * @property {any} cluster
 * @property {any} worker
 */
/** @type {Nodes | undefined} */
let own;
let isInstalled = false;

/** Node's own, for workers that were forked before, and for where only the first call shows that the engine does not run. */
function nodes() {
  const { fork, setupPrimary, disconnect, Worker } = builtin('cluster');
  const { prototype } = Worker;
  // Loading it may have put ours in place, and kept Node's before.
  return (own ??= {
    cluster: { fork, setupPrimary, disconnect },
    worker: { disconnect: prototype.disconnect, destroy: prototype.destroy },
  });
}

const withoutWorkers = () => require('./without_engine').replacements;

const primary = either(() => require('./primary'), withoutWorkers);
const scheduling = either(() => require('./scheduling'), withoutWorkers);
const requests = either(() => require('./requests'), withoutWorkers);
const peers = later(() => require('./peers'));
const workerExtras = () => scheduling().workerExtras;
const workerMethods = () => requests().workerMethods;

/**
 * Puts ours on Node's own `cluster` object: who has required `cluster` and who has required `rcluster` hold the same.
 * @returns {any} that object
 */
function installCluster() {
  nodes();
  const cluster = builtin('cluster');
  if (isInstalled) return cluster;
  isInstalled = true;
  assign(
    cluster,
    policies,
    lazyFunctions(() => require('./processors'), { availableParallelism: 0 }),
    lazyFunctions(() => require('./systemd'), { listenFds: 0 }),
  );
  defineProperties(cluster, {
    native: bareDescriptor({ get: () => platform.native, configurable: true }),
    coverage: methodDescriptor(lazyFunction(() => require('../coverage'), 'coverage', 0)),
  });
  if (cluster.isPrimary) installPrimary(cluster);
  else if (platform.native) installWorker(cluster);
  return cluster;
}

/** @param {any} cluster */
function installWorker(cluster) {
  require('../child_process/inherited').watch();
  cluster.onRequest = lazyFunction(requests, 'onRequestInWorker', 1, 'onRequest');
  defineProperties(cluster.Worker.prototype, lazyWorkerMethods());
  defineProperties(cluster.worker, {
    sendTo: methodDescriptor(lazyFunction(peers, 'sendTo', 3)),
    requestTo: methodDescriptor(lazyFunction(peers, 'requestTo', 3)),
    broadcast: methodDescriptor(lazyFunction(peers, 'broadcast', 2)),
  });
  require('./worker').install();
}

/** What of a worker's object is ours in either role. */
function lazyWorkerMethods() {
  return {
    request: methodDescriptor(lazyFunction(workerMethods, 'request', 2)),
    onRequest: methodDescriptor(lazyFunction(workerMethods, 'onRequest', 1)),
  };
}

/** Lengths are Node's. @param {any} cluster */
function installPrimary(cluster) {
  assign(
    cluster,
    lazyFunctions(primary, { setupPrimary: 1, fork: 1, disconnect: 1, broadcast: 1 }),
    lazyFunctions(scheduling, { loads: 0 }),
    lazyFunctions(requests, { onRequest: 1 }),
  );
  cluster.setupMaster = cluster.setupPrimary;
  const { prototype } = cluster.Worker;
  prototype.disconnect = lazyFunction(primary, 'disconnectWorker', 0, 'disconnect');
  prototype.destroy = lazyFunction(primary, 'destroyWorker', 1, 'destroy');
  defineProperties(prototype, {
    weight: lazyAccessor('weight', true),
    isPaused: lazyAccessor('isPaused'),
    pause: lazyMethod('pause'),
    resume: lazyMethod('resume'),
    load: lazyAccessor('load'),
    ...lazyWorkerMethods(),
  });
  if (process.env.NODE_CLUSTER_SCHED_POLICY) scheduling().applyEnvironment();
}

/** Of a worker. @param {string} name @param {boolean} [isWritable] @returns {PropertyDescriptor} */
function lazyAccessor(name, isWritable = false) {
  const descriptor = () => getOwnPropertyDescriptor(workerExtras(), name);
  return bareDescriptor({
    get: lazyFunction(descriptor, 'get', 0, `get ${name}`),
    set: isWritable ? lazyFunction(descriptor, 'set', 1, `set ${name}`) : undefined,
    configurable: true,
  });
}

/** Of a worker. @param {string} name @returns {PropertyDescriptor} */
function lazyMethod(name) {
  return methodDescriptor(lazyFunction(workerExtras, name, 0));
}

module.exports = { installCluster, nodes };
