'use strict';
// @ts-check

// Starts the process of a worker: environment, inspector port, the hand-off socket it inherits.

const { fork } = require('../child_process/install').functions;
const { kExtraFds } = require('../child_process/child');
const { extraOptions } = require('../child_process/extras');
const { codedError } = require('../errors');
const platform = require('../platform');
const { affinityOf } = require('./processors');
const handoff = require('./handoff');

const INSPECT_ARGUMENT = /--inspect(?:-brk|-port)?|--debug-port/;
const MIN_PORT = 1024;
const MAX_PORT = 65535;
/** Standard input, output and error, and the channel. */
const DEFAULT_STDIO_LENGTH = 4;

let inspectPortOffset = 1;

/** @param {string[]} execArgv */
function isUsingInspector(execArgv) {
  return (
    Array.prototype.some.call(execArgv, (arg) => INSPECT_ARGUMENT.test(arg)) ||
    INSPECT_ARGUMENT.test(process.env.NODE_OPTIONS ?? '')
  );
}

/** @param {number | (() => number) | undefined} inspectPort */
function getInspectPort(inspectPort) {
  if (typeof inspectPort === 'function') {
    inspectPort = inspectPort();
  } else if (inspectPort == null) {
    inspectPort = process.debugPort + inspectPortOffset++;
    if (inspectPort > MAX_PORT) inspectPort += MIN_PORT - 1 - MAX_PORT;
  }
  validatePort(inspectPort);
  return inspectPort;
}

/** @param {any} port */
function validatePort(port) {
  const isText = typeof port === 'string' && port.trim() !== '';
  const number = isText || typeof port === 'number' ? Number(port) : NaN;
  if (!Number.isInteger(number) || number < 0 || number > MAX_PORT) {
    throw codedError('ERR_SOCKET_BAD_PORT', 'Port', port);
  }
}

/**
 * What is set in the process before its exec: for all workers by `setupPrimary`, for one by `fork`.
 * @param {any} settings
 * @param {any} extras
 */
function extrasOf(settings, extras) {
  /** @type {Record<string, any>} */
  const all = {};
  for (const name of extraOptions) {
    const value = extras?.[name] ?? settings[name];
    if (value !== undefined) all[name] = value;
  }
  const affinity = extras?.affinity ?? affinityOf(settings.affinity);
  if (affinity === undefined) delete all.affinity;
  else all.affinity = affinity;
  return all;
}

/**
 * @param {any} settings
 * @param {number} id
 * @param {object} [env]
 * @param {any} [extras] of this worker alone
 * @returns {{ child: any, socket: handoff.Handoff | undefined }}
 */
function start(settings, id, env, extras) {
  const execArgv = [...settings.execArgv];
  if (settings.inspectPort === null) throw codedError('ERR_SOCKET_BAD_PORT', 'Port', null);
  if (isUsingInspector(settings.execArgv)) {
    execArgv.push(`--inspect-port=${getInspectPort(settings.inspectPort)}`);
  }

  const socket = handoff.prepare(id);
  /** @type {Record<string, any>} */
  const workerEnv = { ...process.env, ...env, NODE_UNIQUE_ID: `${id}` };
  if (socket !== undefined) {
    const slot = Array.isArray(settings.stdio) ? Math.max(settings.stdio.length, 3) : DEFAULT_STDIO_LENGTH;
    workerEnv.RCLUSTER_HANDOFF = JSON.stringify([slot, socket.inode, __dirname, platform.file]);
  }

  try {
    const child = fork(settings.exec, settings.args, {
      cwd: settings.cwd,
      env: workerEnv,
      serialization: settings.serialization,
      silent: settings.silent,
      windowsHide: settings.windowsHide,
      execArgv,
      stdio: settings.stdio,
      ...extrasOf(settings, extras),
      gid: settings.gid,
      uid: settings.uid,
      [kExtraFds]: socket === undefined ? [] : [socket.fd],
    });
    return { child, socket };
  } catch (error) {
    if (socket !== undefined) handoff.abandon(socket);
    throw error;
  }
}

module.exports = { start };
