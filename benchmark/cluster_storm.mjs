import { alternate } from './lib/pair.mjs';
import { stormMetrics, stormSides } from './lib/cluster_sides.mjs';

export const question = 'is any of many connections at once refused or reset?';

export async function* cases({ smoke }) {
  // The kernel allows a backlog of 4,096 unless told otherwise; the workers take connections meanwhile.
  const connections = smoke ? 500 : 5000;
  yield {
    title: `2 workers, ${connections.toLocaleString('en-US')} connections at once`,
    rows: await alternate({
      rounds: smoke ? 1 : 5,
      sides: stormSides({ workers: 2, connections }),
      metrics: stormMetrics,
    }),
  };
}
