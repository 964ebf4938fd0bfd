'use strict';
// @ts-check

// The primary: what Node's own `cluster` object does with us behind it.

const path = require('node:path');

const { codedError, nodeMajor } = require('../errors');
const handoff = require('./handoff');
const { nodes } = require('./install');
const { Distributed, PerWorker, Shared, isUdp } = require('./listeners');
const messages = require('./messages');
const { place } = require('./processors');
const asking = require('./requests');
const scheduling = require('./scheduling');
const workerProcess = require('./worker_process');

/** @type {any} */
const cluster = require('node:cluster');
const { EventEmitter } = require('node:events');

const { Worker } = cluster;

/** Tells `disconnect` callbacks that the last worker has gone. */
const intercom = new EventEmitter();
/** What the workers listen on. @type {Map<string, import('./listeners').Listener>} */
const listeners = new Map();
/** Workers forked by us; one forked before we were loaded stays Node's. */
const ours = new WeakSet();
/** Workers that disconnect, having been told to or on their own: one that is told again may fail of it. */
const disconnecting = new WeakSet();

// Behind those that were forked before we were loaded.
let lastId = Math.max(0, ...Object.keys(cluster.workers).map(Number));
const { some } = Array.prototype;

let isSetUp = false;
/** @type {number} */
let schedulingPolicy;

/** @param {boolean} condition @param {string} message */
function assert(condition, message) {
  if (!condition) throw codedError('ERR_INTERNAL_ASSERTION', message);
}

/** @param {object} [options] */
function setupPrimary(options) {
  const { schedulingPolicy: givenPolicy } = /** @type {any} */ (options ?? {});
  if (givenPolicy !== undefined) {
    scheduling.validatePolicy(givenPolicy);
    cluster.schedulingPolicy = schedulingPolicy = givenPolicy;
  }
  scheduling.validateSticky(options ?? undefined);
  const settings = {
    args: process.argv.slice(2),
    exec: process.argv[1],
    execArgv: process.execArgv,
    silent: false,
    ...cluster.settings,
    ...options,
  };
  // Without a file each, the profiles of all workers would end up in one.
  const { execArgv } = settings;
  if (has(execArgv, '--prof') && !has(execArgv, '--logfile=')) {
    settings.execArgv = [...execArgv, '--logfile=v8-%p.log'];
  }
  cluster.settings = settings;

  if (!isSetUp) {
    isSetUp = true;
    schedulingPolicy = cluster.schedulingPolicy;
    assert(scheduling.isPolicy(schedulingPolicy), `Bad cluster.schedulingPolicy: ${schedulingPolicy}`);
    process.on(/** @type {any} */ ('internalMessage'), onPrimaryMessage);
  }
  process.nextTick(emitSetup, settings);
}

/** @param {string[]} execArgv @param {string} prefix */
function has(execArgv, prefix) {
  // Whatever the user has set it to is complained of by `fork`, as in Node.
  return some.call(execArgv, (arg) => arg.startsWith(prefix));
}

/** @param {object} settings */
function emitSetup(settings) {
  cluster.emit('setup', settings);
}

/** A debugger that came to the primary goes on to its workers. @param {any} message */
function onPrimaryMessage(message) {
  if (message.cmd !== 'NODE_DEBUG_ENABLED') return;
  for (const worker of Object.values(cluster.workers)) {
    const debug = () => /** @type {any} */ (process)._debugProcess(worker.process.pid);
    if (worker.state === 'online' || worker.state === 'listening') debug();
    else worker.once('online', debug);
  }
}

/** @param {object} [env] @param {object} [extras] what is set in its process before it starts */
function fork(env, extras) {
  setupPrimary();
  const id = ++lastId;
  const { child, socket } = workerProcess.start(cluster.settings, id, env, extras);
  const worker = new Worker({ id, process: child });
  ours.add(worker);
  place(child);
  // The number is known before the exec is, and reading `child.pid` would wait for that.
  if (socket !== undefined) handoff.attach(worker, socket, child._handle?.pid ?? 0);

  worker.on('message', (/** @type {any} */ message, /** @type {any} */ handle) => {
    cluster.emit('message', worker, message, handle);
  });
  child.once('exit', (/** @type {any} */ code, /** @type {any} */ signal) => onExit(worker, code, signal));
  child.once('disconnect', () => onDisconnect(worker));
  // The only one after an exec that failed.
  child.once('close', () => handoff.ended(worker));
  messages.listen(child, (message) => onRequest(worker, message));
  asking.forked(worker);

  process.nextTick(emitFork, worker);
  cluster.workers[worker.id] = worker;
  return worker;
}

/** @param {any} worker */
function emitFork(worker) {
  cluster.emit('fork', worker);
}

/** @param {any} worker @param {number | null} code @param {string | null} signal */
function onExit(worker, code, signal) {
  const isWished = worker.exitedAfterDisconnect || worker.process.killed || code === 0;
  handoff.ended(worker, !isWished);
  // While the channel is open there may be messages to come from a worker that users want to find.
  if (!worker.isConnected()) {
    leaveAll(worker);
    removeWorker(worker);
  }
  worker.exitedAfterDisconnect = !!worker.exitedAfterDisconnect;
  worker.state = 'dead';
  worker.emit('exit', code, signal);
  cluster.emit('exit', worker, code, signal);
}

/** @param {any} worker */
function onDisconnect(worker) {
  leaveAll(worker);
  handoff.disconnected(worker);
  if (worker.isDead()) removeWorker(worker);
  worker.exitedAfterDisconnect = !!worker.exitedAfterDisconnect;
  worker.state = 'disconnected';
  worker.emit('disconnect');
  cluster.emit('disconnect', worker);
}

/** @param {any} worker */
function removeWorker(worker) {
  delete cluster.workers[worker.id];
  if (Object.keys(cluster.workers).length === 0) {
    assert(listeners.size === 0, 'Resource leak detected.');
    intercom.emit('disconnect');
  }
}

/** @param {any} worker */
function leaveAll(worker) {
  for (const [key, listener] of listeners) {
    if (listener.remove(worker)) listeners.delete(key);
  }
}

/** @param {() => void} [callback] */
function disconnect(callback) {
  const workers = Object.values(cluster.workers);
  if (workers.length === 0) process.nextTick(() => intercom.emit('disconnect'));
  for (const worker of workers) {
    if (worker.isConnected()) worker.disconnect();
  }
  if (typeof callback === 'function') intercom.once('disconnect', callback);
}

/**
 * Sends a message to every worker that is connected; how many those are.
 * @param {any} message
 */
function broadcast(message) {
  const workers = Object.values(cluster.workers).filter((worker) => worker.isConnected());
  for (const worker of workers) worker.send(message);
  return workers.length;
}

/** What workers ask for, by `act`. @type {Record<string, (worker: any, message: any) => void>} */
const requests = {
  // @ts-expect-error: null prototype, so that no inherited name is taken for an act.
  __proto__: null,
  close,
  exitedAfterDisconnect,
  listening,
  online,
  queryServer,
  withoutHandoffs,
};

/** @param {any} worker @param {any} message */
function onRequest(worker, message) {
  requests[message.act]?.(worker, message);
}

/** @param {any} worker */
function online(worker) {
  worker.state = 'online';
  worker.emit('online');
  cluster.emit('online', worker);
}

/** @param {any} worker @param {any} message */
function exitedAfterDisconnect(worker, message) {
  worker.exitedAfterDisconnect = true;
  disconnecting.add(worker);
  messages.send(worker.process, { ack: message.seq });
}

/** @param {any} worker @param {any} message */
function listening(worker, { addressType, address, port, fd, handoff: token }) {
  // Who hears of it may connect at once, and the worker has its turn.
  if (token !== undefined) handoff.announce(worker, token);
  const info = { addressType, address, port, fd };
  worker.state = 'listening';
  worker.emit('listening', info);
  cluster.emit('listening', worker, info);
}

/** @param {any} worker @param {any} message */
function close(worker, { key }) {
  if (listeners.get(key)?.remove(worker)) listeners.delete(key);
}

/** A worker that has asked for hand-offs turns out to be unable to take them. @param {any} worker */
function withoutHandoffs(worker) {
  for (const listener of listeners.values()) listener.sendByMessage?.(worker);
}

/** What makes two queries mean the same socket. @param {any} query */
function keyOf({ address, port, addressType, fd, index }) {
  const key = `${address}:${port}:${addressType}:${fd}`;
  // Node 20 counts the servers of any port of a worker, later lines only those without a port of their own.
  return nodeMajor < 22 || port === 0 ? `${key}:${index}` : key;
}

/** @param {any} worker @param {any} query */
function queryServer(worker, query) {
  if (worker.exitedAfterDisconnect) return;
  const key = keyOf(query);
  const known = listeners.get(key);
  // A second server of one worker on one key, on lines whose key allows it, is bound anew, and fails there.
  const listener = known && (nodeMajor < 22 || !known.has(worker)) ? known : makeListener(key, query);
  if (known === undefined) listeners.set(key, listener);
  listener.data ||= query.data;

  listener.add(worker, query, (errno, reply, handle) => {
    if (!errno) listeners.set(key, listener);
    // Not kept, so that another worker's query tries again.
    else if (known === undefined || nodeMajor < 22) listeners.delete(key);
    const { data } = listener;
    messages.send(worker.process, { errno, key, ack: query.seq, data, ...reply }, handle);
  });
}

/** @param {string} key @param {any} query @returns {import('./listeners').Listener} */
function makeListener(key, query) {
  let { address } = query;
  if (query.port < 0 && typeof address === 'string') {
    // Some 100 bytes is all a socket's path may have.
    const relative = path.relative(process.cwd(), address);
    if (relative.length <= address.length && relative !== '') address = relative;
  }
  if (isUdp(query)) return new Shared(address, query);
  if (!scheduling.isByKernel(schedulingPolicy)) {
    return new Distributed(key, address, query, scheduling.sharing(schedulingPolicy));
  }
  const isPort = !(query.port < 0) && !(query.fd >= 0);
  if (schedulingPolicy === scheduling.SCHED_REUSEPORT && isPort) return new PerWorker(address, query);
  return new Shared(address, query);
}

/** @this {any} What `worker.disconnect` does. */
function disconnectWorker() {
  if (!ours.has(this)) return nodes().worker.disconnect.call(this);
  this.exitedAfterDisconnect = true;
  if (!disconnecting.has(this)) messages.send(this.process, { act: 'disconnect' });
  disconnecting.add(this);
  leaveAll(this);
  handoff.takeBack(this);
  removeWorker(this);
  return this;
}

/** @this {any} What `worker.destroy` and `worker.kill` do. @param {string | number} [signal] */
function destroyWorker(signal) {
  if (!ours.has(this)) return nodes().worker.destroy.call(this, signal);
  this.process.kill(signal || 'SIGTERM');
}

module.exports = { broadcast, destroyWorker, disconnect, disconnectWorker, fork, setupPrimary };
