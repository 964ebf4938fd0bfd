import { alternate } from './lib/pair.mjs';
import { clusterSides, metrics } from './lib/cluster_sides.mjs';

export const question = 'how long do requests wait where every tenth blocks its worker for 20 ms?';

export async function* cases({ smoke }) {
  // Four workers do some 1,700 requests a second at best: with more connections there is always a queue.
  for (const connections of [16, 32, 64]) {
    const sides = clusterSides({
      names: ['node', 'rcluster', 'rcluster least-conn', 'rcluster least-load'],
      blockMs: 20,
      workers: 4,
      connections,
      keepAlive: false,
      seconds: smoke ? 0.5 : 3,
      warmup: smoke ? 0.2 : 1,
    });
    yield {
      title: `4 workers, ${connections} connections, a connection for each request`,
      rows: await alternate({ rounds: smoke ? 1 : 5, sides, metrics }),
    };
  }
}
