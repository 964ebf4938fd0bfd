'use strict';
// @ts-check

// The control socket of a supervisor: who may speak over it, and what they may ask for.

const fs = require('node:fs');
const net = require('node:net');
const { setTimeout: sleep } = require('node:timers/promises');
const util = require('node:util');

const { fdOf } = require('../child_process/handles');
const { engine } = require('../native');
const controlPath = require('./control_path');
const { readMessages, sendMessage } = require('./control_protocol');
const { followLogs } = require('./log_follower');

/** Longest request. */
const LONGEST_REQUEST = 1 << 16;
/** Rights on the socket that others do not get. */
const OTHERS = 0o177;
/** How long the end waits for answers that are under way, in milliseconds. */
const ANSWER_LIMIT = 1000;

/**
 * @typedef {object} Instance what runs here, and is steered and seen from outside
 * @property {any | undefined} supervisor undefined until its start
 * @property {InstanceType<typeof import('./logs').Logs> | undefined} logs
 * @property {() => Promise<{ replaced: number, duration: number }>} reload
 * @property {() => object} describe what `status` says beside the supervisor's own
 */

/**
 * Opens the control socket. Its lock is kept as long as this process lives, so a socket without one is dead.
 * @param {string} path
 * @param {Instance} instance
 * @returns {Promise<{ path: string, close(): Promise<void> }>}
 * @throws {Error} `ERR_RCLUSTER_CONTROL_TAKEN` where an instance that lives has it; or that of the file system
 */
async function serveControl(path, instance) {
  if (Buffer.byteLength(path) > controlPath.LONGEST) {
    throw controlError(`the path of the control socket has more than ${controlPath.LONGEST} bytes: ${path}`);
  }
  const lock = takeLock(path);
  /** Requests that are not answered yet. @type {Set<Promise<void>>} */
  const pending = new Set();
  try {
    await removeDead(path);
    const server = net.createServer((socket) => serve(socket, instance, pending));
    await listen(server, path);
    // The supervisor lives as long as its workers do, not as long as somebody could ask for them.
    server.unref();
    return {
      path,
      // Its connections stay open: their end tells who has asked for a stop that this process has ended.
      async close() {
        server.close();
        await Promise.race([Promise.all(pending), sleep(ANSWER_LIMIT)]);
        release(path, lock);
      },
    };
  } catch (error) {
    release(path, lock);
    throw error;
  }
}

/** @param {string} message @param {object} [properties] */
function controlError(message, properties) {
  return Object.assign(new Error(message), { code: 'ERR_RCLUSTER_CONTROL', ...properties });
}

/** @param {string} path */
function takeLock(path) {
  const lock = engine.lockFile(`${path}.lock`);
  if (lock >= 0) {
    fs.ftruncateSync(lock);
    fs.writeSync(lock, `${process.pid}\n`);
    return lock;
  }
  const code = util.getSystemErrorName(lock);
  if (code !== 'EAGAIN') {
    const reason = util.getSystemErrorMap().get(lock)?.[1] ?? code;
    throw controlError(`cannot open the control socket ${path}: ${reason}`, { errno: lock, reason: code });
  }
  throw takenError(path, ownerOf(path));
}

/** @param {string} path @param {number} [pid] */
function takenError(path, pid) {
  const whose = pid === undefined ? 'another process' : `another instance (pid ${pid})`;
  return controlError(`the control socket ${path} belongs to ${whose}`, {
    code: 'ERR_RCLUSTER_CONTROL_TAKEN',
    pid,
  });
}

/** The process that has the lock of a socket. @param {string} path */
function ownerOf(path) {
  try {
    return Number.parseInt(fs.readFileSync(`${path}.lock`, 'latin1'), 10) || undefined;
  } catch {
    return undefined;
  }
}

/** Removes the socket of an instance that has died. @param {string} path */
async function removeDead(path) {
  const stat = fs.lstatSync(path, { throwIfNoEntry: false, bigint: true });
  if (stat === undefined) return;
  if (!stat.isSocket()) throw controlError(`${path} is in the way of the control socket: it is no socket`);
  // The lock is ours, so no instance lives there, unless somebody has cleared its lock away; or it is no instance's.
  if (await answers(path)) throw takenError(path);
  fs.unlinkSync(path);
}

/** @param {string} path @returns {Promise<boolean>} */
function answers(path) {
  return new Promise((resolve) => {
    const socket = net.connect(path, () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });
}

/** @param {net.Server} server @param {string} path @returns {Promise<void>} */
function listen(server, path) {
  return new Promise((resolve, reject) => {
    server.once('error', (error) => {
      reject(controlError(`cannot open the control socket ${path}: ${error.message}`));
    });
    // The file is made within the call, with no moment in which others could connect.
    const umask = process.umask(OTHERS);
    try {
      server.listen(path, resolve);
    } finally {
      process.umask(umask);
    }
  });
}

/** Gives the lock back; the socket itself went when the server was closed. @param {string} path @param {number} lock */
function release(path, lock) {
  // Before it is closed: who takes it next makes a file of its own.
  fs.rmSync(`${path}.lock`, { force: true });
  fs.closeSync(lock);
}

/** @param {net.Socket} socket */
function isAllowed(socket) {
  const peer = engine.peerOf(fdOf(socket));
  return peer !== null && (peer.uid === 0 || peer.uid === /** @type {any} */ (process).geteuid());
}

/** @param {net.Socket} socket @param {Instance} instance @param {Set<Promise<void>>} pending */
function serve(socket, instance, pending) {
  socket.on('error', () => {});
  if (!isAllowed(socket)) {
    socket.destroy();
    return;
  }
  socket.unref();
  readMessages(
    socket,
    (request) => {
      const answered = answer(socket, request, instance);
      // Who follows the logs is never done.
      if (request.command === 'logs') return;
      pending.add(answered);
      answered.finally(() => pending.delete(answered));
    },
    (error) => {
      sendMessage(socket, failure(undefined, error));
      socket.end();
    },
    LONGEST_REQUEST,
  );
}

/** @param {any} id @param {any} error */
function failure(id, error) {
  const { message, code, reason, stderr } = error;
  return { id, ok: false, error: { message, code, reason, stderr } };
}

/** @param {net.Socket} socket @param {any} request @param {Instance} instance */
async function answer(socket, request, instance) {
  const { id, command } = request;
  try {
    const handler = Object.hasOwn(commands, command) ? commands[command] : undefined;
    if (handler === undefined) throw controlError(`there is no command "${command}"`);
    if (instance.supervisor === undefined) throw controlError('the instance is still starting: try again');
    const result = await handler(instance, request, socket);
    await sent(socket, { id, ok: true, result });
  } catch (error) {
    await sent(socket, failure(id, error));
  }
}

/** Sends a document, and waits until the kernel has it. @param {net.Socket} socket @param {object} message */
async function sent(socket, message) {
  if (sendMessage(socket, message)) return;
  while (!socket.destroyed && socket.writableLength > 0) await sleep(5);
}

/** @param {Instance} instance */
function status({ supervisor, describe }) {
  return { ...supervisor.status(), ...describe() };
}

/** @type {Record<string, (instance: Instance, request: any, socket: net.Socket) => any>} */
const commands = {
  status,

  metrics: (instance) => ({ status: status(instance), metrics: instance.supervisor.metrics() }),

  async reload(instance) {
    const outcome = await instance.reload();
    return { ...status(instance), ...outcome };
  },

  async scale(instance, { count }) {
    if (!Number.isInteger(count) || count < 1) {
      throw controlError(`the number of workers must be 1 or more, not ${count}`);
    }
    await instance.supervisor.scale(count);
    return status(instance);
  },

  async stop({ supervisor }, { timeout, force }) {
    await supervisor.stop({ timeout, force });
    return { pid: process.pid };
  },

  logs: ({ logs }, request, socket) => followLogs(logs, request, socket),
};

module.exports = { serveControl };
