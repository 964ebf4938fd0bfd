// The sides of the cluster benchmarks: the same server behind four ways of sharing its port.

import { readdirSync, readFileSync } from 'node:fs';

import { load } from './load.mjs';
import { startNode, stop } from './processes.mjs';

const server = new URL('../fixtures/http_server.cjs', import.meta.url);

const SIDES = {
  node: { BENCH_MODULE: 'node:cluster' },
  rcluster: { BENCH_MODULE: 'rcluster' },
  'one process': { BENCH_MODULE: 'none' },
  'rcluster least-conn': { BENCH_MODULE: 'rcluster', BENCH_POLICY: 'SCHED_LEAST_CONN' },
  'rcluster least-load': { BENCH_MODULE: 'rcluster', BENCH_POLICY: 'SCHED_LEAST_LOAD' },
  SCHED_REUSEPORT: { BENCH_MODULE: 'rcluster', BENCH_POLICY: 'SCHED_REUSEPORT' },
  SCHED_NONE: { BENCH_MODULE: 'node:cluster', NODE_CLUSTER_SCHED_POLICY: 'none' },
};

/** The pair, and its frame: no cluster, and the kernel's own balancing. */
const FRAMED = ['node', 'rcluster', 'one process', 'SCHED_REUSEPORT', 'SCHED_NONE'];

export const metrics = /** @type {const} */ ({
  requests: { unit: 'per s', better: 'higher' },
  p50: { unit: 'ms', better: 'lower' },
  p99: { unit: 'ms', better: 'lower' },
  errors: { unit: 'count', better: 'lower' },
});

/**
 * One function a side: starts its server, puts it under load, stops it.
 * @param {{ workers: number, names?: string[], blockMs?: number } & Omit<Parameters<typeof load>[0], 'port'>} options
 *   `blockMs`: for so long every tenth request blocks its worker
 */
export function clusterSides({ workers, names = FRAMED, blockMs = 0, ...options }) {
  const sides = names.map((name) => {
    const env = { ...SIDES[name], BLOCK_MS: String(blockMs) };
    return [name, () => measure(env, workers, options)];
  });
  return Object.fromEntries(sides);
}

/** What `shareSides` measure: how far the shares are from equal, in connections. */
export const shareMetrics = /** @type {const} */ ({
  most: { unit: 'connections over', better: 'lower' },
  least: { unit: 'connections under', better: 'lower' },
  errors: { unit: 'count', better: 'lower' },
});

/**
 * One function a side: how equally the workers share so many connections.
 * @param {{ workers: number, connections: number, count: number }} options
 */
export function shareSides({ workers, connections, count }) {
  const options = { connections, count, keepAlive: false, seconds: 60 };
  const sides = ['node', 'rcluster'].map((name) => {
    const run = async () => {
      const { workers: shares, errors } = await serve({ ...SIDES[name], NAMED: '1' }, workers, options);
      const equal = count / workers;
      // A worker that got none is not named.
      const counts = Array.from({ length: workers }, (_, at) => shares[at + 1] ?? 0);
      return { most: Math.max(...counts) - equal, least: equal - Math.min(...counts), errors };
    };
    return [name, run];
  });
  return Object.fromEntries(sides);
}

/** What `primarySides` measure. */
export const primaryMetrics = /** @type {const} */ ({
  requests: { unit: 'per s', better: 'higher' },
  cpu: { unit: 'ms of the primary per 10,000', better: 'lower' },
});

/**
 * One function a side: what the primary spends on connections. `isBlocked`: its JavaScript does nothing else meanwhile.
 * @param {{ workers: number, isBlocked: boolean } & Omit<Parameters<typeof load>[0], 'port'>} options
 */
export function primarySides({ workers, isBlocked, warmup, ...options }) {
  const sides = ['node', 'rcluster'].map((name) => {
    const env = { ...SIDES[name], BLOCK_PRIMARY: isBlocked ? '1' : '' };
    const run = () =>
      withServer(env, workers, async (port, pid) => {
        await load({ port, ...options, seconds: warmup });
        const before = cpuOf(pid);
        const { requests, perSecond } = await load({ port, ...options });
        const cpu = requests === 0 ? null : ((cpuOf(pid) - before) * 10_000) / requests;
        return { requests: perSecond, cpu };
      });
    return [name, run];
  });
  return Object.fromEntries(sides);
}

/** What `stormSides` measure. */
export const stormMetrics = /** @type {const} */ ({
  errors: { unit: 'count', better: 'lower' },
  answered: { unit: 'count', better: 'higher' },
  all: { unit: 'ms until the last answer', better: 'lower' },
});

/**
 * One function a side: so many connections at once, each for one request.
 * @param {{ workers: number, connections: number }} options
 */
export function stormSides({ workers, connections }) {
  const options = { connections, count: connections, keepAlive: false, seconds: 20, isStorm: true };
  const sides = ['node', 'rcluster'].map((name) => {
    const run = async () => {
      const env = { ...SIDES[name], BACKLOG: String(connections) };
      const { requests, perSecond, errors } = await serve(env, workers, options);
      return { errors, answered: requests, all: requests === 0 ? null : (requests / perSecond) * 1000 };
    };
    return [name, run];
  });
  return Object.fromEntries(sides);
}

async function measure(env, workers, options) {
  const { perSecond, p50, p99, errors } = await serve(env, workers, options);
  return { requests: perSecond, p50, p99, errors };
}

/** Starts the server, puts it under load, stops it. */
function serve(env, workers, options) {
  return withServer(env, workers, (port) => load({ port, ...options }));
}

async function withServer(env, workers, run) {
  const child = startNode(server, [], { ...env, WORKERS: String(workers) });
  try {
    return await run(await listeningPort(child), child.pid);
  } finally {
    await stop(child);
  }
}

/** Milliseconds of processor time that a process has had, in all its threads. */
function cpuOf(pid) {
  const threads = readdirSync(`/proc/${pid}/task`);
  const times = threads.map((id) => readFileSync(`/proc/${pid}/task/${id}/schedstat`, 'utf8').split(' ')[0]);
  return times.reduce((sum, time) => sum + Number(time), 0) / 1e6;
}

function listeningPort(child) {
  return new Promise((resolve, reject) => {
    child.stdout.once('data', (text) => resolve(Number(text)));
    child.once('exit', () => reject(new Error('the server ended before it listened')));
  });
}
