// A cluster in this process, of workers that do what they are told.

import { once } from 'node:events';
import { createRequire } from 'node:module';
import net from 'node:net';

import { fixture } from './run_script.mjs';

/** `rcluster`. */
export const cluster = createRequire(import.meta.url)('../../index.js');

let lastCall = 0;
/** Workers that have not ended; one that disconnects leaves `cluster.workers` before it does. */
const running = new Set();

/**
 * Forks a worker of fixtures/cluster_worker.cjs and waits until it is online.
 * @param {{ stock?: boolean, settings?: object, extras?: object }} [options] `stock`: it never loads rcluster
 */
export async function startWorker({ stock = false, settings = {}, extras } = {}) {
  cluster.setupPrimary({ exec: fixture('cluster_worker.cjs'), execArgv: [], args: [], ...settings });
  const worker = cluster.fork(stock ? { STOCK: '1' } : {}, extras);
  running.add(worker);
  worker.once('exit', () => running.delete(worker));
  await once(worker, 'online');
  return worker;
}

/** @param {number} count @param {Parameters<typeof startWorker>[0]} [options] */
export function startWorkers(count, options) {
  return Promise.all(Array.from({ length: count }, () => startWorker(options)));
}

/** Has a worker do something; its result, or its error thrown. */
export async function call(worker, name, ...args) {
  const id = ++lastCall;
  const answered = new Promise((resolve) => {
    worker.on('message', function onMessage(message) {
      if (message?.id !== id) return;
      worker.off('message', onMessage);
      resolve(message);
    });
  });
  worker.send({ id, call: name, args });
  const { result, error } = await answered;
  if (error) throw Object.assign(new Error(error.message), error);
  return result;
}

/**
 * Has workers listen on one port, any: it is the same for the n-th server of each worker. Returns the port.
 */
export async function listenAll(workers, name = 'listen', ...rest) {
  const ports = new Set();
  for (const worker of workers) {
    const { address } = await call(worker, name, { port: 0, host: '127.0.0.1' }, ...rest);
    ports.add(address.port);
  }
  if (ports.size !== 1) throw new Error(`the workers have ports of their own: ${[...ports]}`);
  return [...ports][0];
}

/**
 * Connects and waits for the greeting, the number of the worker that took the connection.
 * @param {net.NetConnectOpts | number} to
 * @returns {Promise<{ id: number, socket: net.Socket }>}
 */
export async function greeted(to) {
  const socket = net.connect(typeof to === 'number' ? { port: to, host: '127.0.0.1' } : to);
  return await greeting(socket);
}

/** Waits for the greeting on a connection under way. */
export function greeting(socket) {
  return new Promise((resolve, reject) => {
    let text = '';
    socket.setEncoding('latin1');
    socket.on('data', (data) => {
      text += data;
      if (text.endsWith('\n')) resolve({ id: Number(text), socket });
    });
    socket.on('error', reject);
    socket.on('close', () => reject(new Error('closed without a greeting')));
  });
}

/** The number of the worker that takes a connection, which is then closed. */
export async function takerOf(to) {
  const { id, socket } = await greeted(to);
  socket.destroy();
  return id;
}

/** Kills all workers and waits for their ends. */
export async function endAll() {
  const ended = [...running].map((worker) => once(worker, 'exit'));
  for (const worker of running) worker.process.kill('SIGKILL');
  await Promise.all(ended);
}
