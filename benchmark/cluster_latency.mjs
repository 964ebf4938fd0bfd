import { clusterSides, metrics } from './lib/cluster_sides.mjs';
import { idealQueue } from './lib/ideal_queue.mjs';
import { alternate } from './lib/pair.mjs';

export const question = 'how long do requests wait where every tenth blocks its worker for 20 ms?';

export async function* cases({ smoke }) {
  // Four workers do some 1,700 requests a second at best: with more connections there is always a queue.
  for (const connections of [16, 32, 64]) {
    const options = { blockMs: 20, workers: 4, connections, seconds: smoke ? 0.5 : 3 };
    const sides = clusterSides({
      ...options,
      names: ['node', 'rcluster', 'rcluster least-conn', 'rcluster least-load'],
      keepAlive: false,
      warmup: smoke ? 0.2 : 1,
    });
    yield {
      title: `4 workers, ${connections} connections, a connection for each request`,
      rows: await alternate({
        rounds: smoke ? 1 : 5,
        sides: { ...sides, 'ideal queue': () => idealQueue(options) },
        metrics,
      }),
    };
  }
}
