// The sides of the cluster benchmarks: the same server behind four ways of sharing its port.

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

async function measure(env, workers, options) {
  const { perSecond, p50, p99, errors } = await serve(env, workers, options);
  return { requests: perSecond, p50, p99, errors };
}

/** Starts the server, puts it under load, stops it. */
async function serve(env, workers, options) {
  const child = startNode(server, [], { ...env, WORKERS: String(workers) });
  try {
    return await load({ port: await listeningPort(child), ...options });
  } finally {
    await stop(child);
  }
}

function listeningPort(child) {
  return new Promise((resolve, reject) => {
    child.stdout.once('data', (text) => resolve(Number(text)));
    child.once('exit', () => reject(new Error('the server ended before it listened')));
  });
}
