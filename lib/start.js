// @ts-check
'use strict';

// What users hold of `child_process` and `cluster`: functions that are there from the start, while the modules that
// hold what they do, and the engine, are loaded by the first call. A program that never starts a child does not pay
// for the means to, though it was started with `--require rcluster/register`. So this is one file, and a small one.

const nodeChildProcess = require('node:child_process');
const fs = require('node:fs');
const { inspect, promisify } = require('node:util');

const platform = require('./platform');
// Keeps the language's functions as they are now: by the first call a program may have replaced them.
const { methodDescriptor, nodeMajor } = require('./untampered');

/** @type {any} */
const cluster = require('node:cluster');

const { apply } = Reflect;
const { assign, defineProperties, defineProperty, getOwnPropertyDescriptor, keys } = Object;
const { prototype: childPrototype } = /** @type {any} */ (nodeChildProcess.ChildProcess);
const { prototype: workerPrototype } = cluster.Worker;

/**
 * Node's own, where ours stand in their place: for workers that were forked before, and for where only the first call
 * shows that the engine does not run.
 */
const nodes = {
  childProcess: { ...nodeChildProcess },
  cluster: { fork: cluster.fork, setupPrimary: cluster.setupPrimary, disconnect: cluster.disconnect },
  child: { spawn: childPrototype.spawn },
  worker: { disconnect: workerPrototype.disconnect, destroy: workerPrototype.destroy },
};

/** Kept for files: a program that has no descriptor left is to be told so by what it calls, not by our `require`. */
let reserve = openReserve();

function openReserve() {
  try {
    return fs.openSync('/dev/null', 'r');
  } catch {
    return undefined;
  }
}

/**
 * A function of this name and length, which is `load()[name]`.
 * @param {() => any} load
 * @param {string} name
 * @param {number} length
 * @param {string} [shownName]
 * @returns {any}
 */
function lazyFunction(load, name, length, shownName = name) {
  const { [shownName]: lazy } = {
    /** @this {any} @param {any[]} args */
    [shownName]: function (...args) {
      return apply(load()[name], this, args);
    },
  };
  return length === 0 ? lazy : defineProperty(lazy, 'length', { value: length });
}

/**
 * Functions by name.
 * @param {() => any} load
 * @param {Record<string, number>} lengths
 * @returns {Record<string, any>}
 */
function lazyFunctions(load, lengths) {
  /** @type {Record<string, any>} */
  const functions = {};
  for (const name of keys(lengths)) functions[name] = lazyFunction(load, name, lengths[name]);
  return functions;
}

/**
 * What loads a module once, also where there is no descriptor left for its file.
 * @template T
 * @param {() => T} load
 * @returns {() => T}
 */
function later(load) {
  /** @type {T | undefined} */
  let loaded;
  return () => {
    if (loaded !== undefined) return loaded;
    if (reserve !== undefined) fs.closeSync(reserve);
    try {
      return (loaded = load());
    } finally {
      reserve = openReserve();
    }
  };
}

/**
 * What loads a module of ours, or another where the engine turns out not to run.
 * @param {() => any} load
 * @param {() => any} loadOther
 */
function either(load, loadOther) {
  return later(() => (platform.native ? load() : loadOther()));
}

/**
 * What loads a module of `child_process`, and with it all others: later there may be no descriptor for their files.
 * @param {() => any} load
 * @param {() => any} [loadOther]
 */
function children(load, loadOther = withoutChildren) {
  return either(() => {
    require('./child_process/exec');
    require('./child_process/sync');
    return load();
  }, loadOther);
}

const withoutChildren = () => require('./child_process/without_engine');
const withoutWorkers = () => require('./cluster/without_engine').replacements;

/** The class of children, ours or Node's. */
const ownClass = children(
  () => require('./child_process/child').ChildProcess,
  () => nodes.childProcess.ChildProcess,
);
const childMethods = children(
  () => require('./child_process/child').methods,
  () => withoutChildren().methods,
);
const primary = either(() => require('./cluster/primary'), withoutWorkers);
const scheduling = either(() => require('./cluster/scheduling'), withoutWorkers);
const requests = either(() => require('./cluster/requests'), withoutWorkers);
const peers = later(() => require('./cluster/peers'));
const workerExtras = () => scheduling().workerExtras;
const workerMethods = () => requests().workerMethods;

/** Of `child_process`; lengths as Node's. */
const functions = {
  ...lazyFunctions(
    children(() => require('./child_process/exec')),
    { exec: 3, execFile: 4 },
  ),
  ...lazyFunctions(
    children(() => require('./child_process/sync')),
    { execFileSync: 3, execSync: 2, spawnSync: 3 },
  ),
  ...lazyFunctions(
    children(() => require('./child_process/spawn')),
    { fork: 1, spawn: 3 },
  ),
};
addPromisified(functions.exec);
addPromisified(functions.execFile);

/** What a child has that Node's has not. @type {PropertyDescriptorMap} */
const childExtras = {
  killTree: methodDescriptor(lazyFunction(childMethods, 'killTree', 0)),
  resourceUsage: methodDescriptor(lazyFunction(childMethods, 'resourceUsage', 0)),
  [inspect.custom]: methodDescriptor(showWithPid),
};

/** The policies that Node has not; the same numbers as in src/binding/cluster/primary.rs. */
const policies = { SCHED_LEAST_CONN: 3, SCHED_LEAST_LOAD: 4, SCHED_STICKY: 5, SCHED_REUSEPORT: 6 };

/**
 * @typedef {object} State
 * @property {boolean} isRegistered the class users see is Node's own
 * @property {any} [ownPrototype] of our class, once that is loaded
 * @property {{ execFile: Function }} visible the module whose execFile `exec` calls: people patch it on the one they see
 */
/** @type {State} */
const state = { isRegistered: false, visible: /** @type {any} */ (functions) };

/**
 * Shown as it is, but with its pid, not with the accessor that stands there until the exec is known.
 * @this {any}
 */
function showWithPid() {
  void this.pid;
  return this;
}

/**
 * Gives a function its form for util.promisify, whose promise has the child as a property.
 * @param {Function} run
 */
function addPromisified(run) {
  const promisified = function (/** @type {any[]} */ ...args) {
    /** @type {(value: any) => void} */
    let resolve;
    /** @type {(reason: any) => void} */
    let reject;
    const promise = new Promise((...functions) => {
      [resolve, reject] = functions;
    });
    // Outside the promise: bad arguments throw, they do not reject.
    const child = run(
      ...args,
      (/** @type {any} */ error, /** @type {any} */ stdout, /** @type {any} */ stderr) => {
        if (error === null) resolve({ stdout, stderr });
        else reject(assign(error, { stdout, stderr }));
      },
    );
    return assign(promise, { child });
  };
  // An anonymous function before Node 22.
  Object.defineProperty(promisified, 'name', { value: nodeMajor >= 22 ? run.name : '', configurable: true });
  Object.defineProperty(run, promisify.custom, { value: promisified });
}

/** Puts ours in the place of Node's `child_process`. */
function installChildProcess() {
  if (state.isRegistered) return;
  state.isRegistered = true;
  childPrototype.spawn = lazyFunction(childMethods, 'spawn', 1);
  defineProperties(childPrototype, childExtras);
  delete state.ownPrototype?.spawn;
  state.visible = assign(nodeChildProcess, functions);
  if (process.channel) require('./child_process/inherited').watch();
}

let isClusterInstalled = false;

/**
 * Puts ours on Node's own `cluster` object: who has required `cluster` and who has required `rcluster` hold the same.
 */
function installCluster() {
  if (isClusterInstalled) return cluster;
  isClusterInstalled = true;
  assign(
    cluster,
    policies,
    lazyFunctions(() => require('./cluster/processors'), { availableParallelism: 0 }),
    lazyFunctions(() => require('./cluster/systemd'), { listenFds: 0 }),
  );
  defineProperties(cluster, {
    native: { get: () => platform.native, configurable: true },
    coverage: methodDescriptor(lazyFunction(() => require('./coverage'), 'coverage', 0)),
  });
  if (cluster.isPrimary) installPrimary();
  else if (platform.native) installWorker();
  return cluster;
}

function installWorker() {
  require('./child_process/inherited').watch();
  cluster.onRequest = lazyFunction(requests, 'onRequestInWorker', 1, 'onRequest');
  defineProperties(workerPrototype, lazyWorkerMethods());
  defineProperties(cluster.worker, {
    sendTo: methodDescriptor(lazyFunction(peers, 'sendTo', 3)),
    requestTo: methodDescriptor(lazyFunction(peers, 'requestTo', 3)),
    broadcast: methodDescriptor(lazyFunction(peers, 'broadcast', 2)),
  });
  require('./cluster/worker').install();
}

/** What of a worker's object is ours in either role. */
function lazyWorkerMethods() {
  return {
    request: methodDescriptor(lazyFunction(workerMethods, 'request', 2)),
    onRequest: methodDescriptor(lazyFunction(workerMethods, 'onRequest', 1)),
  };
}

/** Lengths are Node's. */
function installPrimary() {
  assign(
    cluster,
    lazyFunctions(primary, { setupPrimary: 1, fork: 1, disconnect: 1, broadcast: 1 }),
    lazyFunctions(scheduling, { loads: 0 }),
    lazyFunctions(requests, { onRequest: 1 }),
  );
  cluster.setupMaster = cluster.setupPrimary;
  workerPrototype.disconnect = lazyFunction(primary, 'disconnectWorker', 0, 'disconnect');
  workerPrototype.destroy = lazyFunction(primary, 'destroyWorker', 1, 'destroy');
  defineProperties(workerPrototype, {
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
  return {
    get: lazyFunction(descriptor, 'get', 0, `get ${name}`),
    set: isWritable ? lazyFunction(descriptor, 'set', 1, `set ${name}`) : undefined,
    configurable: true,
  };
}

/** Of a worker. @param {string} name @returns {PropertyDescriptor} */
function lazyMethod(name) {
  return methodDescriptor(lazyFunction(workerExtras, name, 0));
}

module.exports = {
  childExtras,
  functions,
  installChildProcess,
  installCluster,
  later,
  nodes,
  ownClass,
  policies,
  state,
};
