// Servers that are reloaded while they are under load: by the supervisor, and by PM2 where somebody says where it is.

import { execFile } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { startNode, stop } from './processes.mjs';
import { median } from './stats.mjs';

const run = promisify(execFile);
const fixture = (name) => new URL(`../fixtures/${name}`, import.meta.url);

/** PM2's package folder. */
const pm2 = process.env.RCLUSTER_BENCH_PM2;

/**
 * One function a side: starts its server, puts it under load, reloads it, stops it.
 * @param {{ workers: number, every: number, duration: number, connections: number, keepAlive: boolean, withPm2: boolean }}
 *   options a reload begins `every` so many milliseconds, or when the one before has ended
 */
export function reloadSides({ withPm2, ...options }) {
  return {
    rcluster: () => bySupervisor(options),
    ...(pm2 && withPm2 && { 'PM2 cluster': () => byPm2(options) }),
  };
}

async function bySupervisor({ workers, ...load }) {
  const port = await freePort();
  const child = startNode(fixture('reload_supervisor.cjs'), [`${workers}`], { PORT: port });
  try {
    await line(child);
    return await underLoad({ port, ...load }, async () => {
      child.kill('SIGUSR2');
      await line(child);
    });
  } finally {
    await stop(child);
  }
}

async function byPm2({ workers, ...load }) {
  const port = await freePort();
  const home = fs.mkdtempSync(path.join(os.tmpdir(), 'rcluster-pm2-'));
  const env = { ...process.env, PM2_HOME: home, PORT: port };
  const command = (...args) => run(process.execPath, [path.join(pm2, 'bin/pm2'), ...args], { env });
  // Its daemon has left this process behind, and its group.
  const killDaemon = () => {
    try {
      process.kill(Number(fs.readFileSync(path.join(home, 'pm2.pid'), 'utf8')), 'SIGKILL');
    } catch {
      // It has gone already.
    }
  };
  process.on('exit', killDaemon);
  try {
    const file = fileURLToPath(fixture('reload_server.cjs'));
    await command('start', file, '--name', 'bench', '-i', String(workers), '--wait-ready');
    return await underLoad({ port, ...load }, () => command('reload', 'bench'));
  } finally {
    await command('kill').catch(killDaemon);
    process.off('exit', killDaemon);
    fs.rmSync(home, { recursive: true, force: true });
  }
}

/**
 * Reloads again and again while clients ask: the same time for every side, so that what they answer can be compared.
 * @param {{ every: number, duration: number }} load
 * @param {() => Promise<unknown>} reload
 */
async function underLoad({ every, duration, ...load }, reload) {
  const client = startNode(fixture('reload_client.cjs'), [JSON.stringify(load)]);
  try {
    const end = performance.now() + duration;
    const took = [];
    await pause(every / 2);
    while (performance.now() < end) {
      const begin = performance.now();
      await reload();
      took.push(performance.now() - begin);
      await pause(Math.max(0, Math.min(begin + every, end) - performance.now()));
    }
    let output = '';
    client.stdout.on('data', (text) => (output += text));
    client.kill('SIGTERM');
    await once(client, 'close');
    const { failed, answered, perSecond } = JSON.parse(output);
    return { failed, answered, requests: perSecond, reload: median(took), reloads: took.length };
  } finally {
    await stop(client);
  }
}

/** The next line that a program prints. */
function line(child) {
  return new Promise((resolve, reject) => {
    const onExit = () => reject(new Error('the supervisor ended too early'));
    child.once('exit', onExit);
    child.stdout.once('data', (text) => {
      child.off('exit', onExit);
      resolve(text);
    });
  });
}

/** A port that nobody listens on. */
async function freePort() {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return String(port);
}

function pause(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
