import { clusterSides, metrics } from './lib/cluster_sides.mjs';
import { idealQueue } from './lib/ideal_queue.mjs';
import { alternate } from './lib/pair.mjs';

export const question = 'how long do requests wait where every tenth blocks its worker for 20 ms?';

const NAMES = ['node', 'rcluster', 'rcluster least-conn', 'rcluster least-load'];

export async function* cases({ smoke }) {
  const options = {
    blockMs: 20,
    workers: 4,
    keepAlive: false,
    seconds: smoke ? 0.5 : 3,
    warmup: smoke ? 0.2 : 1,
  };
  const compare = async (title, load) => ({
    title: `4 workers, ${title}`,
    rows: await alternate({
      rounds: smoke ? 1 : 5,
      sides: {
        ...clusterSides({ ...options, ...load, names: NAMES }),
        'ideal queue': () => idealQueue({ ...options, ...load }),
      },
      metrics,
    }),
  });
  // Whoever comes does not wait until others have been served: latencies are of the server, not of the load.
  for (const rate of smoke ? [800] : [800, 1200]) {
    yield await compare(`a connection for each of ${rate} requests a second`, { connections: 1, rate });
  }
  // They do some 1,700 requests a second at best: with more clients that wait for their answers there is always a queue.
  for (const connections of smoke ? [16] : [16, 32, 64]) {
    yield await compare(`${connections} clients, a connection for each request`, { connections });
  }
}
