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

async function measure(env, workers, options) {
  const child = startNode(server, [], { ...env, WORKERS: String(workers) });
  try {
    const port = await listeningPort(child);
    const { perSecond, p50, p99, errors } = await load({ port, ...options });
    return { requests: perSecond, p50, p99, errors };
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
