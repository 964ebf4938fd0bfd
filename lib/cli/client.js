'use strict';
// @ts-check

// One request to the instance that runs, over its control socket.

const fs = require('node:fs');
const net = require('node:net');
const path = require('node:path');

const { defaultPath, knownPaths, linkPath, othersPaths } = require('../supervisor/control_path');
const { readMessages, sendMessage } = require('../supervisor/control_protocol');
const { CommandError } = require('./errors');

/** What connecting fails with where nobody is there. */
const NOBODY = new Set(['ENOENT', 'ECONNREFUSED']);

/**
 * Sends a request and waits for its result, and for the instance to end if `untilEnd`.
 * @param {string | undefined} control path of the socket; that of the working directory if there is none
 * @param {{ command: string, [option: string]: any }} request
 * @param {{ onEvent?: (event: any) => void, untilEnd?: boolean, signal?: AbortSignal }} [options]
 * @returns {Promise<any>}
 */
async function ask(control, request, { onEvent, untilEnd = false, signal } = {}) {
  const socket = await connect(control);
  const stop = () => socket.destroy();
  signal?.addEventListener('abort', stop, { once: true });
  try {
    return await new Promise((resolve, reject) => {
      /** @type {any} */
      let result;
      readMessages(
        socket,
        (message) => {
          if (message.event !== undefined) onEvent?.(message);
          else if (!message.ok) reject(remoteError(message.error));
          else if (untilEnd) result = message.result;
          else resolve(message.result);
        },
        (error) => reject(new CommandError(`the instance answers with ${error.message}`)),
      );
      socket.on('close', () => {
        if (result !== undefined || signal?.aborted) resolve(result);
        else reject(new CommandError('the instance ended before it had answered', 1, 'ERR_RCLUSTER_GONE'));
      });
      socket.on('error', () => {});
      sendMessage(socket, { id: 1, ...request });
    });
  } finally {
    signal?.removeEventListener('abort', stop);
    socket.destroy();
  }
}

/** @param {any} error as the instance reports it */
function remoteError({ message, code, ...details }) {
  return Object.assign(new CommandError(message, 1, code), details);
}

/**
 * @param {string | undefined} control
 * @returns {Promise<net.Socket>}
 */
async function connect(control) {
  const address = control === undefined ? defaultPath() : path.resolve(control);
  try {
    return await open(address);
  } catch (error) {
    // It may have been started here when the directory's name led elsewhere.
    const link = control === undefined ? linkPath() : undefined;
    const socket = link && (await open(link).catch(() => undefined));
    if (socket) return socket;
    throw await connectError(error, control, address);
  }
}

/** @param {string} address @returns {Promise<net.Socket>} */
function open(address) {
  return new Promise((resolve, reject) => {
    const socket = net.connect(address, () => resolve(socket));
    socket.once('error', reject);
  });
}

/** @param {any} error @param {string | undefined} control @param {string} address */
async function connectError(error, control, address) {
  if (error.code === 'EACCES') {
    return new CommandError(`the instance at ${address} belongs to another user`, 1, 'EACCES');
  }
  if (!NOBODY.has(error.code))
    return new CommandError(`cannot connect to ${address}: ${error.message}`, 1, error.code);
  const code = 'ERR_RCLUSTER_NOT_RUNNING';
  if (control !== undefined) {
    const why = error.code === 'ENOENT' ? 'there is no such socket' : 'its instance has ended';
    return new CommandError(`nothing runs at ${address}: ${why}`, 1, code);
  }
  return new CommandError(`nothing runs in ${process.cwd()}: ${await hintAt()}`, 1, code);
}

/** Where what is looked for may be. */
async function hintAt() {
  const here = process.getuid?.() === 0 ? othersPaths() : [];
  if (here.length > 0) return `another user's instance does; use --control ${here.join(' or ')}`;
  const elsewhere = (await running()).map(({ cwd, pid }) => `${cwd} (pid ${pid})`).join(', ');
  if (elsewhere === '') return 'start one with: rcluster app.js';
  return `it does in ${elsewhere}; go there or use --control PATH`;
}

/** The instances of this user that were started without --control. */
async function running() {
  const answers = await Promise.allSettled(
    knownPaths()
      .filter((known) => fs.existsSync(known))
      .map((known) => ask(known, { command: 'status' }, { signal: AbortSignal.timeout(1000) })),
  );
  return answers.flatMap((answer) => (answer.status === 'fulfilled' && answer.value ? [answer.value] : []));
}

module.exports = { ask };
