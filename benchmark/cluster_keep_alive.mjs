import { alternate } from './lib/pair.mjs';
import { clusterSides, metrics } from './lib/cluster_sides.mjs';

export const question = 'how many requests a second over kept connections does a cluster answer?';

export async function* cases({ smoke }) {
  const sides = clusterSides({
    workers: 2,
    connections: 32,
    keepAlive: true,
    seconds: smoke ? 0.5 : 3,
    warmup: smoke ? 0.2 : 1,
  });
  yield {
    title: '2 workers, 32 connections',
    rows: await alternate({ rounds: smoke ? 1 : 5, sides, metrics }),
  };
}
