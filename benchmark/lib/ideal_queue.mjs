// The limit of latencies under blocking requests: one queue that all workers share, in a simulation without disturbance.
// A request that blocks takes that long itself, and with so many clients the rest of all latencies is what the
// workers cannot do faster: no policy gets far below.

import { quantile } from './stats.mjs';

/** What a request takes that does not block, and a client until its next, in milliseconds. */
const SERVICE_MS = 0.25;
const THINK_MS = 0.05;

/**
 * As `clusterSides` measure it.
 * @param {{ workers: number, connections: number, blockMs: number, seconds: number }} options
 */
export async function idealQueue({ workers, connections, blockMs, seconds }) {
  const servers = Array.from({ length: workers }, (_, at) => ({ freeAt: 0, served: at * 3 }));
  // When each client comes, the first first.
  const arrivals = Array.from({ length: connections }, (_, at) => at * 0.01);
  const latencies = [];
  const end = seconds * 1000;
  while (arrivals[0] < end) {
    const arrival = arrivals.shift();
    const server = servers.reduce((best, other) => (other.freeAt < best.freeAt ? other : best));
    const time = SERVICE_MS + (++server.served % 10 === 0 ? blockMs : 0);
    server.freeAt = Math.max(arrival, server.freeAt) + time;
    latencies.push(server.freeAt - arrival);
    const next = server.freeAt + THINK_MS;
    const behind = arrivals.findIndex((other) => other > next);
    arrivals.splice(behind < 0 ? arrivals.length : behind, 0, next);
  }
  const [p50, p99] = [0.5, 0.99].map((share) => quantile(latencies, share));
  return { requests: latencies.length / seconds, p50, p99, errors: 0 };
}
