// Estimates pi on all processors, with a progress bar, and shows what the pool does meanwhile.
//
//   node pi.mjs [points]

import { fileURLToPath } from 'node:url';

import Pool from 'rcluster/pool';

const total = Number(process.argv[2] ?? 400_000_000);
const CHUNK = 2_000_000;
const WIDTH = 40;

const pool = new Pool({ filename: fileURLToPath(new URL('worker.cjs', import.meta.url)) });
const chunks = Math.ceil(total / CHUNK);
let done = 0;
let inside = 0;

function* seeds() {
  for (let seed = 1; seed <= chunks; seed++) yield { seed, points: CHUNK };
}

function progress() {
  const filled = Math.round((done / chunks) * WIDTH);
  const bar = '█'.repeat(filled).padEnd(WIDTH, '░');
  const estimate = ((4 * inside) / (done * CHUNK)).toFixed(8);
  const line = `${bar} ${Math.round((done / chunks) * 100)} %, pi is about ${estimate}`;
  if (process.stdout.isTTY) process.stdout.write(`\r${line}`);
  else if (done === chunks) console.log(line);
}

const startedAt = performance.now();
await Promise.all(
  Array.from(seeds(), async (task) => {
    const found = await pool.run(task);
    inside += found;
    done++;
    progress();
  }),
);
const seconds = (performance.now() - startedAt) / 1000;
const { threads } = pool.metrics;
console.log(`\n${(total / seconds / 1e6).toFixed(0)} million points a second on ${threads} threads`);
await pool.close();
