// What latencies under blocking requests go by: one queue that all workers share, first come first served, in a simulation
// without disturbance. A request that blocks takes that long itself; where clients wait for their answers, the mean is
// the number of clients by the rate, whatever the policy.

import { quantile } from './stats.mjs';

/** What a request takes on average that does not block, and a client until its next, in milliseconds. */
const SERVICE_MS = 0.25;
const THINK_MS = 0.05;

/**
 * As `clusterSides` measure it. What is not measured is random: how long a request takes, which of a worker's blocks first.
 * @param {{ workers: number, connections: number, rate?: number, blockMs: number, seconds: number }} options
 */
export async function idealQueue({ workers, connections, rate, blockMs, seconds }) {
  const servers = Array.from({ length: workers }, () => ({
    freeAt: 0,
    served: Math.floor(Math.random() * 10),
  }));
  // When each client comes, the first first.
  const arrivals = rate ? [0] : Array.from({ length: connections }, (_, at) => at * 0.01);
  const latencies = [];
  const end = seconds * 1000;
  while (arrivals[0] < end) {
    const arrival = arrivals.shift();
    const server = servers.reduce((best, other) => (other.freeAt < best.freeAt ? other : best));
    const time = SERVICE_MS * (0.5 + Math.random()) + (++server.served % 10 === 0 ? blockMs : 0);
    server.freeAt = Math.max(arrival, server.freeAt) + time;
    latencies.push(server.freeAt - arrival);
    const next = rate ? arrival - (Math.log(1 - Math.random()) / rate) * 1000 : server.freeAt + THINK_MS;
    const behind = arrivals.findIndex((other) => other > next);
    arrivals.splice(behind < 0 ? arrivals.length : behind, 0, next);
  }
  const [p50, p99] = [0.5, 0.99].map((share) => quantile(latencies, share));
  return { requests: latencies.length / seconds, p50, p99, errors: 0 };
}
