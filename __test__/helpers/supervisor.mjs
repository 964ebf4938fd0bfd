// Supervisors in this process, over fixtures/supervisor/app.cjs.

import { once } from 'node:events';
import http from 'node:http';
import { createRequire } from 'node:module';
import net from 'node:net';

import { fixture } from './run_script.mjs';

const require = createRequire(import.meta.url);
const supervisorPath = require.resolve('../../supervisor.js');

/** `rcluster/supervisor`. */
export const { supervise, ...library } = require(supervisorPath);

/** `rcluster`. */
export const cluster = require('../../index.js');

const running = new Set();

/** A port that nobody listens on. */
export async function freePort() {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

/**
 * Supervises the app, without waiting for it. `events` collects what is logged.
 * @param {Record<string, any>} [options]
 */
export async function start({ env, ...options } = {}) {
  const port = await freePort();
  const sup = supervise({
    exec: fixture('supervisor/app.cjs'),
    instances: 2,
    silent: true,
    signals: false,
    stopTimeout: 5000,
    env: { PORT: `${port}`, SUPERVISOR: supervisorPath, ...env },
    ...options,
  });
  running.add(sup);
  const events = [];
  sup.on('log', (line) => events.push(line));
  return { sup, port, events, get: (path, more) => get(port, path, more) };
}

/** Supervises the app, and waits until all workers are ready. @param {Parameters<typeof start>[0]} [options] */
export async function started(options) {
  const all = await start(options);
  await all.sup.started;
  return all;
}

/** One request on a connection of its own; the answer's JSON. */
export function get(port, path = '/', { agent = false } = {}) {
  return new Promise((resolve, reject) => {
    const request = http.get({ host: '127.0.0.1', port, path, agent }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (data) => (text += data));
      response.on('end', () => {
        resolve({ status: response.statusCode, headers: response.headers, ...JSON.parse(text || '{}') });
      });
      response.on('error', reject);
    });
    request.on('error', (error) => reject(Object.assign(error, { isReused: request.reusedSocket })));
  });
}

/** The pids of the workers that are ready, by place. */
export function pids(sup) {
  return sup.workers.filter(({ state }) => state === 'ready').map(({ pid }) => pid);
}

/** Stops what a test has started. */
export async function stopAll() {
  const all = [...running];
  running.clear();
  await Promise.all(all.map((sup) => sup.stop({ force: true })));
}
