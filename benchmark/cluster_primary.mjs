import { alternate } from './lib/pair.mjs';
import { primaryMetrics, primarySides } from './lib/cluster_sides.mjs';

export const question =
  'what does a connection cost the primary, and who answers while its JavaScript is blocked?';

export async function* cases({ smoke }) {
  for (const isBlocked of [false, true]) {
    const sides = primarySides({
      workers: 2,
      connections: 32,
      keepAlive: false,
      isBlocked,
      seconds: smoke ? 0.3 : 3,
      warmup: smoke ? 0.1 : 1,
    });
    yield {
      title: `2 workers, a connection for each request${isBlocked ? ', primary blocked' : ''}`,
      rows: await alternate({ rounds: smoke ? 1 : 5, sides, metrics: primaryMetrics }),
    };
  }
}
