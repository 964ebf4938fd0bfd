// What a control socket or an HTTP server speaks to, without workers: for what does not depend on them.

import { EventEmitter } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const require = createRequire(import.meta.url);

export const { serveControl } = require('../../lib/supervisor/control.js');
export const { serveHttp } = require('../../lib/supervisor/http.js');
export const { ask } = require('../../lib/cli/client.js');

const worker = {
  id: 1,
  workerId: 1,
  pid: 4242,
  state: 'ready',
  uptime: 1000,
  restarts: 0,
  cpu: { user: 1.5, system: 0.25 },
  rss: 1 << 20,
  heap: { used: 100, total: 200, limit: 300, external: 10 },
  eventLoop: { utilization: 0.5, delay: { mean: 0.001, p50: 0.001, p99: 0.002, max: 0.003 } },
  gc: { count: 3, time: 0.01 },
  connections: { open: 2, total: 9, pending: 0 },
  requests: { total: 11, active: 1 },
  ipc: { sent: 4, received: 5 },
  silentFor: 20,
};

/** An instance whose supervisor only remembers what it was asked for. */
export function standIn(changes = {}) {
  const supervisor = Object.assign(new EventEmitter(), {
    name: 'app',
    isLive: true,
    isReady: true,
    workers: [worker],
    asked: [],
    status: () => ({
      name: 'app',
      pid: process.pid,
      state: 'running',
      instances: 1,
      workers: supervisor.workers,
    }),
    metrics: () => ({
      time: 1000,
      supervisor: {
        pid: process.pid,
        uptime: 5000,
        cpu: { user: 1, system: 2 },
        rss: 1e6,
        heapUsed: 1e5,
        restarts: 1,
        reloads: 2,
        hangs: 3,
        giveUps: 4,
        workers: { ready: 1 },
      },
      workers: supervisor.workers,
      total: {},
    }),
    scale: async (count) => void supervisor.asked.push(['scale', count]),
    stop: async (options) => void supervisor.asked.push(['stop', options]),
    ask: async () => {
      throw new Error('nobody answers');
    },
    ...changes,
  });
  return {
    supervisor,
    logs: undefined,
    reload: async () => ({ replaced: 1, duration: 5 }),
    describe: () => ({ cwd: process.cwd() }),
  };
}

/** A directory of its own for a test file. */
export function temporaryDirectory() {
  const directory = mkdtempSync(join(tmpdir(), 'rcluster-test-'));
  return { directory, remove: () => rmSync(directory, { recursive: true, force: true }) };
}
