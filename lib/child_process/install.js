'use strict';
// @ts-check

// What users hold of `child_process`: functions that are there from the start, while the modules that hold what they do,
// and the engine, are loaded by the first call. A program that never starts a child does not pay for the means to.

const { either, lazyFunction, lazyFunctions } = require('../lazy');
// Keeps the language's functions as they are now: by the first call a program may have replaced them.
const {
  assign,
  bareDescriptor,
  builtin,
  defineProperties,
  defineProperty,
  methodDescriptor,
  nodeMajor,
} = require('../untampered');

/** `util.inspect.custom` and `util.promisify.custom`. */
const kInspect = Symbol.for('nodejs.util.inspect.custom');
const kPromisify = Symbol.for('nodejs.util.promisify.custom');

/**
 * @typedef {object} Nodes Node's own, where ours stand in their place
 * @property {any} childProcess
 * @property {Function} spawn of its class
 */
/** @type {Nodes | undefined} */
let own;

/** Node's own, for where only the first call shows that the engine does not run. */
function nodes() {
  const childProcess = builtin('child_process');
  // Loading it may have put ours in place, and kept Node's before.
  return (own ??= {
    childProcess: { ...childProcess },
    spawn: childProcess.ChildProcess.prototype.spawn,
  });
}

/**
 * What loads a module of `child_process`, and with it all others: later there may be no descriptor for their files.
 * @param {() => any} load
 * @param {() => any} [loadOther]
 */
function children(load, loadOther = withoutChildren) {
  return either(() => {
    require('./exec');
    require('./sync');
    return load();
  }, loadOther);
}

const withoutChildren = () => require('./without_engine');

/** The class of children, ours or Node's. */
const ownClass = children(
  () => require('./child').ChildProcess,
  () => nodes().childProcess.ChildProcess,
);
const childMethods = children(
  () => require('./child').methods,
  () => withoutChildren().methods,
);

/** Of `child_process`; lengths as Node's. */
const functions = {
  ...lazyFunctions(
    children(() => require('./exec')),
    { exec: 3, execFile: 4 },
  ),
  ...lazyFunctions(
    children(() => require('./sync')),
    { execFileSync: 3, execSync: 2, spawnSync: 3 },
  ),
  ...lazyFunctions(
    children(() => require('./spawn')),
    { fork: 1, spawn: 3 },
  ),
};
addPromisified(functions.exec);
addPromisified(functions.execFile);

/** What a child has that Node's has not. @type {PropertyDescriptorMap} */
const childExtras = {
  killTree: methodDescriptor(lazyFunction(childMethods, 'killTree', 0)),
  resourceUsage: methodDescriptor(lazyFunction(childMethods, 'resourceUsage', 0)),
  [kInspect]: methodDescriptor(showWithPid),
};

/**
 * @typedef {object} State
 * @property {boolean} isRegistered the class users see is Node's own
 * @property {any} [ownPrototype] of our class, once that is loaded
 * @property {Function} [ownSpawn] what its children have as `spawn`, unless a program has replaced it
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
  const shownName = nodeMajor >= 22 ? run.name : '';
  defineProperty(promisified, 'name', bareDescriptor({ value: shownName, configurable: true }));
  defineProperty(run, kPromisify, bareDescriptor({ value: promisified }));
}

/** Puts ours in the place of Node's `child_process`. */
function installChildProcess() {
  const { childProcess } = nodes();
  if (state.isRegistered) return;
  state.isRegistered = true;
  const { prototype } = childProcess.ChildProcess;
  prototype.spawn = state.ownSpawn = lazyFunction(childMethods, 'spawn', 1);
  defineProperties(prototype, childExtras);
  delete state.ownPrototype?.spawn;
  state.visible = assign(builtin('child_process'), functions);
  if (process.channel) require('./inherited').watch();
}

module.exports = { childExtras, functions, installChildProcess, nodes, ownClass, state };
