import { poolLimit } from './lib/fixture.mjs';
import { alternate, lead } from './lib/pair.mjs';
import { runNode } from './lib/processes.mjs';
import { median } from './lib/stats.mjs';

export const question = 'how many tasks can a pool of two threads run, and at what cost to the main thread?';

const fixture = new URL('fixtures/pool.cjs', import.meta.url);

/** The pools, by the module that has them. */
const pools = { piscina: 'piscina', tinypool: 'tinypool', rcluster: 'rcluster/pool' };

/** The same pool over processes: shown, not compared. */
const processes = { module: 'rcluster/pool', runtime: 'process' };

const rates = /** @type {const} */ ({
  tasks: { unit: 'per s', better: 'higher' },
  'main thread': { unit: 'us per task', better: 'lower' },
});

const list = [
  {
    title: 'tiny task, 64 in flight',
    kind: 'tiny',
    inFlight: 64,
    bytes: 8,
    withProcesses: true,
    metrics: rates,
  },
  {
    title: '4 KB string, 64 in flight',
    kind: 'text',
    inFlight: 64,
    bytes: 4096,
    withProcesses: true,
    metrics: rates,
  },
  { title: '2,000 small objects, 64 in flight', kind: 'objects', inFlight: 64, metrics: rates },
  {
    title: 'tiny task, one at a time',
    kind: 'tiny',
    inFlight: 1,
    bytes: 8,
    metrics: /** @type {const} */ ({ 'round trip': { unit: 'us', better: 'lower' } }),
  },
  { title: '1 MB copied, 64 in flight', kind: 'copied', inFlight: 64, bytes: 1 << 20, metrics: rates },
  { title: '1 MB transferred, 64 in flight', kind: 'transferred', inFlight: 64, metrics: rates },
  {
    title: 'start of a pool until its first result',
    kind: 'start',
    inFlight: 1,
    metrics: /** @type {const} */ ({ start: { unit: 'ms', better: 'lower' } }),
  },
  {
    title: 'idle',
    kind: 'idle',
    inFlight: 1,
    metrics: /** @type {const} */ ({ idle: { unit: 'CPU ms per s', better: 'lower' } }),
  },
];

export async function* cases({ smoke }) {
  const seconds = smoke ? 0.1 : 1;
  for (const { title, metrics, bytes, withProcesses, ...options } of list) {
    const side = (module, runtime) => async () =>
      JSON.parse(
        await runNode(fixture, [JSON.stringify({ ...options, runtime, seconds })], { BENCH_MODULE: module }),
      );
    const sides = {
      ...Object.fromEntries(Object.entries(pools).map(([name, module]) => [name, side(module)])),
      ...(withProcesses && { processes: side(processes.module, processes.runtime) }),
      ...(bytes && !smoke && poolLimit(bytes, options.inFlight, seconds)),
    };
    const rows = await alternate({ rounds: smoke ? 1 : 5, sides, metrics });
    yield {
      title,
      rows: rows.map((row) => ({ ...row, ratio: ratioToBest(row, metrics[row.metric].better) })),
    };
  }
}

/** Of rcluster to the better of the others, each round by itself. */
function ratioToBest({ all: { piscina, rcluster, tinypool } }, better) {
  const best = better === 'higher' ? Math.max : Math.min;
  return median(rcluster.map((own, round) => lead(best(piscina[round], tinypool[round]), own, better)));
}
