import { alternate } from './lib/pair.mjs';
import { shareSides, shareMetrics } from './lib/cluster_sides.mjs';

export const question = 'how far apart are the shares of the workers of a cluster?';

export async function* cases({ smoke }) {
  const count = smoke ? 400 : 10_000;
  for (const workers of [2, 4]) {
    for (const connections of [1, 16, 64]) {
      yield {
        title: `${workers} workers, ${count} connections, ${connections} at a time`,
        rows: await alternate({
          rounds: smoke ? 1 : 3,
          sides: shareSides({ workers, connections, count }),
          metrics: shareMetrics,
        }),
      };
    }
  }
}
