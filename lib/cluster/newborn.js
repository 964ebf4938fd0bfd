'use strict';
// @ts-check

// A worker before it listens. Nearly all of that time is Node's own, and what we load before the primary hears
// `listening` comes on top of it. So there is only what the program may use or Node may ask for at once. The rest comes
// when the first of these happens: a server of the worker's listens; somebody touches what we have put there; a while
// has passed.
//
// Loaded by Node's `require`, which takes 0.7 ms for a file of whatever size, so it is this one alone: what it needs of
// others stands here too, and ../untampered is given what it would have found.
//
// Knows Node's private names of the channel and of `cluster`.

const { AsyncResource } = require('node:async_hooks');
const { closeSync, openSync, readFileSync, readlinkSync } = require('node:fs');

// As they are now, before the program: see ../untampered.
const { apply, ownKeys } = Reflect;
const { bind, call } = Function.prototype;
const { assign, create, defineProperty, entries, getOwnPropertyDescriptor, getOwnPropertyDescriptors } =
  Object;
const { getOwnPropertySymbols } = Object;
const { parse } = JSON;
const { nextTick } = process;
const { getBuiltinModule } = /** @type {any} */ (process);
const { setTimeout } = globalThis;

/** A method as a function of its object. @type {(method: Function) => (self: any, ...args: any[]) => any} */
const uncurry = bind.bind(call);
const arrayIncludes = uncurry(Array.prototype.includes);
const arrayPush = uncurry(Array.prototype.push);
const stringStartsWith = uncurry(String.prototype.startsWith);

/** What an object has now, on one that inherits nothing. @param {object} object @returns {any} */
const copy = (object) => create(null, getOwnPropertyDescriptors(object));

/**
 * Some of that, where it is much.
 * @template T
 * @template {keyof T} K
 * @param {T} object
 * @param {readonly K[]} names
 * @returns {Pick<T, K>}
 */
function some(object, names) {
  const result = create(null);
  for (let at = 0; at < names.length; at++) result[names[at]] = object[names[at]];
  return result;
}

/** @typedef {typeof kept} Kept */
const kept = {
  __proto__: null,
  apply,
  // prettier-ignore
  array: some(Array.prototype, [
    'fill', 'filter', 'find', 'forEach', 'includes', 'indexOf', 'join', 'lastIndexOf', 'map', 'push', 'slice', 'splice',
    'unshift',
  ]),
  fs: { closeSync, openSync, readFileSync },
  getBuiltinModule,
  Map,
  map: copy(Map.prototype),
  // prettier-ignore
  object: some(Object, [
    'assign', 'create', 'defineProperties', 'defineProperty', 'entries', 'freeze', 'getOwnPropertyDescriptor',
    'getOwnPropertySymbols', 'hasOwn', 'keys', 'setPrototypeOf', 'values',
  ]),
  ownKeys,
  Set,
  set: copy(Set.prototype),
  // prettier-ignore
  string: some(String.prototype, [
    'charCodeAt', 'includes', 'indexOf', 'lastIndexOf', 'replaceAll', 'slice', 'split', 'startsWith', 'toUpperCase',
  ]),
  uncurry,
};

/** As in ./policies. */
const policies = { SCHED_LEAST_CONN: 3, SCHED_LEAST_LOAD: 4, SCHED_STICKY: 5, SCHED_REUSEPORT: 6 };

const OLDEST_NODE = 20;

/** For so long one that is about to listen goes without the addon that guards it, in milliseconds. */
const SOON = 20;
/** How long a worker that does not listen goes without the rest, in milliseconds from then. */
const WHILE = 25;

/** What begins the messages between ends that are ours; as in ../child_process/peer.js, which is not loaded yet. */
const PEER_PREFIX = 'NODE_RCLUSTER_';

/** On Node's handle of the channel: ends the time that this file is about, for this copy of it or another. */
const kFinish = Symbol.for('rcluster.newborn');
/** On the process: what ../untampered takes. */
const kKept = Symbol.for('rcluster.untampered');

/**
 * @typedef {object} Inherited the hand-off socket, as the primary has told of it
 * @property {number} fd
 * @property {number} inode
 * @property {string} directory this one, in the primary's copy of the package
 * @property {string} file that the primary has loaded the engine from
 */

/** @type {Inherited | undefined} */
let inherited;
let isActive = false;
/** What only a channel of ours can answer, as it came. @type {any[]} */
const early = [];
let isGuarded = false;
let nextToken = 0;
/** Servers of which the primary has been asked. */
let pending = 0;
/** A descriptor given up for the files of the rest: the program may take all others. @type {number | undefined} */
let reserve;
/** What is done when this is over. @type {Array<() => void>} */
let undo = [];
/** What the rest is put in place in: not in that of whoever touches it first. @type {AsyncResource} */
let resource;

/** What the primary has told of the hand-off socket; this worker's own children are not to find it. */
function takeInherited() {
  const told = process.env.RCLUSTER_HANDOFF;
  if (told === undefined) return;
  delete process.env.RCLUSTER_HANDOFF;
  try {
    const [fd, inode, directory, file] = parse(told);
    inherited = { fd, inode, directory, file };
  } catch {
    // Not from a primary of this kind.
  }
}

/**
 * Whether this is a worker that does not listen yet. Makes it one, if it is called before anything else of ours.
 * @returns {boolean}
 */
function begin() {
  if (isActive || process.env.RCLUSTER_HANDOFF === undefined) return isActive;
  takeInherited();
  if (inherited === undefined || !isSameEngine(inherited)) return false;
  // In a worker thread it is a getter that throws, or is not there.
  const channel = getOwnPropertyDescriptor(process, 'channel')?.value;
  const key = channel && process.connected && channelKey();
  const handle = key && /** @type {any} */ (process)[key];
  // What has been read already may have been a question to us.
  if (!handle || handle.bytesRead > 0 || !isSocket(inherited)) return false;
  const listeners = /** @type {any} */ (process)._events?.internalMessage;
  // Both of Node's, of the channel and of `cluster`.
  if (typeof listeners?.[0] !== 'function') return false;
  const cluster = builtin('cluster');
  if (!cluster.isWorker) return false;
  isActive = true;
  defineProperty(process, kKept, bareDescriptor({ value: kept, configurable: true }));
  resource = new AsyncResource('PIPEWRAP');
  reserve = openReserve();
  handle[kFinish] = finish;
  arrayPush(undo, () => delete handle[kFinish]);
  watchChannel(listeners);
  prepareChildProcess();
  prepareCluster(cluster);
  prepareServers(cluster);
  // Who has given up his rights may not be able to read our files.
  forEach(['setuid', 'seteuid', 'setgid', 'setegid', 'setgroups', 'initgroups'], (name) =>
    trap(process, name),
  );
  nextTick(guardLater);
  return true;
}

/** Whether the primary's engine runs here too. @param {Inherited} told */
function isSameEngine({ directory, file }) {
  const { env, versions } = process;
  return (
    directory === __dirname &&
    typeof file === 'string' &&
    parseInt(versions.node, 10) >= OLDEST_NODE &&
    versions.bun === undefined &&
    versions.deno === undefined &&
    env.RCLUSTER_DISABLE_NATIVE !== '1' &&
    !env.NAPI_RS_NATIVE_LIBRARY_PATH
  );
}

/**
 * Whether the descriptor is still what the primary meant. Not by fstat: before Node 24 `require` no longer follows
 * symbolic links after that of a socket, until something else is looked at.
 * @param {Inherited} told
 */
function isSocket({ fd, inode }) {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`) === `socket:[${inode}]`;
  } catch {
    return false;
  }
}

/** Node's private name for its handle of the channel. @returns {any} */
function channelKey() {
  const symbols = getOwnPropertySymbols(process);
  for (let at = 0; at < symbols.length; at++) {
    if (symbols[at].description === 'kChannelHandle') return symbols[at];
  }
  return undefined;
}

/**
 * A descriptor that inherits nothing: a program may have given Object.prototype properties of such names.
 * @param {PropertyDescriptor} descriptor
 * @returns {PropertyDescriptor & { __proto__: null }}
 */
function bareDescriptor(descriptor) {
  return { __proto__: null, ...descriptor };
}

/** A module of Node's, by the road that tools do not wrap, where there is one. @param {string} name @returns {any} */
function builtin(name) {
  return getBuiltinModule === undefined ? require(`node:${name}`) : apply(getBuiltinModule, process, [name]);
}

/** A descriptor to be given up for the file of a module, as in ../untampered; undefined if there is none now. */
function openReserve() {
  try {
    return openSync('/dev/null', 'r');
  } catch {
    return undefined;
  }
}

/** @template T @param {T[]} list @param {(item: T) => void} run */
function forEach(list, run) {
  for (let at = 0; at < list.length; at++) run(list[at]);
}

/** Does what loads a file. @template T @param {() => T} load @returns {T} */
function withReserve(load) {
  if (reserve !== undefined) closeSync(reserve);
  reserve = undefined;
  return load();
}

/**
 * Node's channel does until there is more to say; see ../child_process/inherited.js.
 * @param {Function[]} listeners of the process, to internal messages
 */
function watchChannel(listeners) {
  const target = /** @type {any} */ (process);
  const { _send: send } = target;
  // In the place of Node's, as ../child_process/inherited.js does it. `off` and `prependListener` take 0.4 ms of a
  // process that has not called them yet.
  const [listener] = listeners;
  const onInternal = (/** @type {any} */ message, /** @type {any} */ sent) => {
    if (!stringStartsWith(`${message.cmd}`, PEER_PREFIX)) return apply(listener, target, [message, sent]);
    arrayPush(early, message);
    finish();
  };
  const standIn = (/** @type {any[]} */ ...args) => {
    if (!isActive || isOfCluster(args[0])) return apply(send, target, args);
    finish();
    return apply(target._send, target, args);
  };
  listeners[0] = onInternal;
  target._send = standIn;
  arrayPush(undo, () => {
    target.off('internalMessage', onInternal);
    target.prependListener('internalMessage', listener);
    if (target._send === standIn) target._send = send;
  });
  forEach(['request', 'onRequest', 'messages'], (name) => trap(target, name));
  forEach(['setLimits', 'transport'], (name) => trap(target.channel, name));
}

/** Whether a message is of Node's cluster. @param {any} message */
function isOfCluster(message) {
  return message?.cmd === 'NODE_CLUSTER';
}

/** Ours are put in place for who looks at Node's. */
function prepareChildProcess() {
  const childProcess = builtin('child_process');
  forEach(
    ['ChildProcess', 'exec', 'execFile', 'execFileSync', 'execSync', 'fork', 'spawn', 'spawnSync'],
    (name) => trap(childProcess, name),
  );
}

/** @param {any} cluster */
function prepareCluster(cluster) {
  assign(cluster, policies);
  // Data, as they will be: `import` of `cluster` reads them all.
  forEach(entries({ availableParallelism: 0, listenFds: 0, onRequest: 1 }), ([name, length]) => {
    const standIn = function (/** @type {any[]} */ ...args) {
      finish();
      return apply(cluster[name], cluster, args);
    };
    defineProperty(standIn, 'name', bareDescriptor({ value: name, configurable: true }));
    defineProperty(standIn, 'length', bareDescriptor({ value: length, configurable: true }));
    cluster[name] = standIn;
  });
  forEach(['native', 'coverage'], (name) => trap(cluster, name));
  forEach(['request', 'onRequest'], (name) => trap(cluster.Worker.prototype, name));
  forEach(['sendTo', 'requestTo', 'broadcast'], (name) => trap(cluster.worker, name));
}

/** Has the rest put in place by whoever reads or sets a property. @param {any} object @param {string} name */
function trap(object, name) {
  const before = getOwnPropertyDescriptor(object, name);
  defineProperty(
    object,
    name,
    /** @type {any} */ ({
      __proto__: null,
      get() {
        finish();
        return object[name];
      },
      set(/** @type {any} */ value) {
        finish();
        object[name] = value;
      },
      enumerable: before?.enumerable ?? false,
      configurable: true,
    }),
  );
  arrayPush(undo, () => {
    if (before === undefined) delete object[name];
    else defineProperty(object, name, /** @type {PropertyDescriptor} */ (bareDescriptor(before)));
  });
}

/** Whether what is asked for is no server that takes hand-offs. @param {any} options of `_getServer` */
function isUdp({ addressType }) {
  return addressType === 'udp4' || addressType === 'udp6';
}

/**
 * Asks the primary for hand-offs, as ./worker.js does from when it is loaded, which is when the primary has heard that
 * the server listens.
 * @param {any} cluster
 */
function prepareServers(cluster) {
  const { _getServer: getServer } = cluster;
  const standIn = function (
    /** @type {any} */ server,
    /** @type {any} */ options,
    /** @type {any} */ callback,
  ) {
    if (!isActive || isUdp(options)) return apply(getServer, cluster, [server, options, callback]);
    const token = nextToken++;
    pending++;
    const onHandle = (/** @type {any} */ err, /** @type {any} */ handle) => {
      pending--;
      callback(err, handle);
      // Node says so in the tick that it has just asked for.
      nextTick(() => {
        finish();
        if (err) return;
        if (require('../platform').native) require('./worker').takeOver(token, server, handle);
        // The primary has the engine, and this process cannot load it.
        else /** @type {any} */ (process).send({ cmd: 'NODE_CLUSTER', act: 'withoutHandoffs' });
      });
    };
    apply(getServer, cluster, [server, { ...options, handoff: token }, onHandle]);
  };
  cluster._getServer = standIn;
  arrayPush(undo, () => {
    if (cluster._getServer === standIn) cluster._getServer = getServer;
  });
}

/** The program has run, or a first part of it. One that is about to listen has the addon with all the rest. */
function guardLater() {
  if (pending > 0 || isLookingUp()) setTimeout(guardNow, SOON).unref();
  else guardNow();
}

/** Whether the program may be about to listen at a host: Node looks its address up first, for which it loads that module. */
function isLookingUp() {
  return arrayIncludes(/** @type {any} */ (process).moduleLoadList ?? [], 'NativeModule dns');
}

function guardNow() {
  if (!isActive) return;
  const { file } = /** @type {Inherited} */ (inherited);
  try {
    guard(withReserve(() => require(file)));
  } catch {
    // Whoever loads it next will say why.
    return finish();
  }
  reserve = openReserve();
  setTimeout(onWhile, WHILE).unref();
}

/** A worker that waits for the primary is ready sooner without the rest. */
function onWhile() {
  if (pending > 0) setTimeout(onWhile, WHILE).unref();
  else finish();
}

/** Node ends a worker that has lost its primary, unless its event loop is blocked. That one is killed. @param {any} binding */
function guard(binding) {
  if (isGuarded) return;
  isGuarded = true;
  const { worker } = builtin('cluster');
  binding.endWithParent();
  worker.once('disconnect', () => {
    if (worker.exitedAfterDisconnect) binding.outliveParent();
  });
}

/** Puts the rest in place, if it is not. */
function finish() {
  if (isActive) resource.runInAsyncScope(putInPlace);
}

function putInPlace() {
  isActive = false;
  forEach(undo, (run) => run());
  undo = [];
  withReserve(() => {
    require = require('../loader').within(module, require);
    // ../untampered has it.
    delete (/** @type {any} */ (process)[kKept]);
    require('../child_process/inherited').watch(early);
    require('../child_process/install').installChildProcess();
    require('./install').installCluster();
  });
  /** @type {any} */ (module.constructor).syncBuiltinESMExports();
}

/** What a worker goes on with: the hand-off socket, if its primary has made one, and the first token that is free. */
function handoff() {
  takeInherited();
  return inherited && { fd: inherited.fd, inode: inherited.inode, nextToken };
}

module.exports = { begin, finish, guard, handoff, isUdp };
