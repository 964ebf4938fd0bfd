// `npm run charts -- FILE... [--out FOLDER]`: SVG charts from what `npm run bench -- NAME --json FILE` has written, into
// docs/images unless told otherwise. A benchmark that is in none of the files is left out; a short run is refused, since
// its figures say nothing.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { barChart } from './lib/chart.mjs';
import { root } from './lib/run.mjs';

/** Of which benchmark which metric is drawn, in a file named after it. */
const CHARTS = [
  {
    benchmark: 'spawn_block',
    metric: 'call p50',
    title: 'For how long one spawn() holds the JS thread, by memory of the process',
    better: 'lower',
    isLogarithmic: true,
  },
  {
    benchmark: 'cluster_connections',
    metric: 'requests',
    title: 'HTTP requests, each on a connection of its own',
    better: 'higher',
  },
  {
    benchmark: 'ipc',
    metric: 'round trips',
    title: 'Messages there and back',
    better: 'higher',
    isLogarithmic: true,
  },
  {
    benchmark: 'pool',
    metric: 'tasks',
    title: 'Tasks of a pool of two threads',
    better: 'higher',
    isLogarithmic: true,
  },
];

const { values: options, positionals: files } = parseArgs({
  allowPositionals: true,
  options: { out: { type: 'string', default: join(root, 'docs', 'images') } },
});

try {
  const drawn = draw(files, options.out);
  for (const file of drawn) console.log(file);
} catch (error) {
  console.error(`charts: ${error.message}`);
  process.exitCode = 1;
}

/** Writes the charts there is something for; which ones. */
function draw(from, folder) {
  if (from.length === 0)
    throw new Error('name the files that `npm run bench -- NAME --json FILE` has written');
  const runs = from.map(read);
  const drawn = [];
  for (const { benchmark, metric, ...chart } of CHARTS) {
    // Of several runs the last that is named.
    const run = runs.findLast(({ results }) => results.some((result) => result.benchmark === benchmark));
    if (run === undefined) continue;
    const cases = run.results.flatMap((result) => {
      const row = result.benchmark === benchmark && result.rows.find((each) => each.metric === metric);
      return row ? [{ name: result.case, row }] : [];
    });
    if (cases.length === 0)
      throw new Error(`there is no "${metric}" of ${benchmark}: the benchmark has changed`);
    const groups = cases.map(({ name, row }) => ({ name, bars: Object.entries(row.medians) }));
    const [{ row }] = cases;
    mkdirSync(folder, { recursive: true });
    const file = join(folder, `${benchmark}.svg`);
    writeFileSync(file, barChart({ ...chart, unit: row.unit, groups, source: sourceOf(run, row) }));
    drawn.push(file);
  }
  if (drawn.length === 0) {
    throw new Error(
      `nothing to draw: of ${CHARTS.map(({ benchmark }) => benchmark).join(', ')} there is nothing`,
    );
  }
  return drawn;
}

function read(file) {
  let run;
  try {
    run = JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    throw new Error(`${file} cannot be read: ${error.message}`, { cause: error });
  }
  if (!Array.isArray(run?.results)) throw new Error(`${file} is not what a benchmark has written`);
  if (run.smoke) throw new Error(`${file} is of a short run: measure without --smoke`);
  return run;
}

/** Where the figures come from. */
function sourceOf({ commit, node, cpu, date }, { all }) {
  const rounds = Math.max(...Object.values(all).map(({ length }) => length));
  return `medians of ${rounds} rounds; commit ${commit}, Node ${node}, ${cpu}, ${date.slice(0, 10)}`;
}
