// `npm run charts`: what it draws of what a benchmark has written, and what it refuses.

import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { afterAll, describe, expect, test } from 'vitest';

import { runScript } from './helpers/run_script.mjs';

const script = fileURLToPath(new URL('../scripts/charts.mjs', import.meta.url));
const scratch = mkdtempSync(join(tmpdir(), 'rcluster-charts-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

const row = (metric, unit, medians) => {
  const all = Object.fromEntries(
    Object.entries(medians).map(([side, value]) => [side, [value, value, value]]),
  );
  return { metric, unit, medians, ratio: null, all };
};
const sample = (results, more) => ({
  rcluster: '0.1.0',
  commit: 'abc1234',
  node: 'v20.20.2',
  kernel: '6.1',
  cpu: '2 x Some & Other',
  date: '2026-01-02T03:04:05.678Z',
  smoke: false,
  results,
  ...more,
});
const spawn = {
  benchmark: 'spawn_block',
  case: "60 MB, stdio 'ignore'",
  rows: [row('call p99', 'ms', { node: 9, rcluster: 9 }), row('call p50', 'ms', { node: 10, rcluster: 0.1 })],
};
const connections = {
  benchmark: 'cluster_connections',
  case: '2 workers, <32> connections',
  rows: [row('requests', 'per s', { node: 4000, rcluster: 8000, 'one process': null })],
};

let number = 0;
/** Draws charts; what was said, and the files. */
async function draw(...runs) {
  const out = join(scratch, `out-${++number}`);
  const files = runs.map((run, at) => {
    const file = join(scratch, `run-${number}-${at}.json`);
    writeFileSync(file, typeof run === 'string' ? run : JSON.stringify(run));
    return file;
  });
  const { code, stderr } = await runScript(script, { args: [...files, '--out', out] });
  const names = code === 0 ? readdirSync(out).sort() : [];
  return {
    code,
    stderr,
    svg: Object.fromEntries(names.map((name) => [name, readFileSync(join(out, name), 'utf8')])),
  };
}

const widths = (svg) =>
  [...svg.matchAll(/<rect x="\d+" y="\d+" width="([\d.]+)"/g)].map(([, width]) => Number(width));

test('one chart for each benchmark that was run, out of several files', async () => {
  const { code, svg, stderr } = await draw(sample([spawn]), sample([connections]));
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(Object.keys(svg)).toEqual(['cluster_connections.svg', 'spawn_block.svg']);
});

test('a bar is as long as its figure, which stands behind it; what was not measured has none', async () => {
  const { svg } = await draw(sample([connections]));
  const text = svg['cluster_connections.svg'];
  const [node, rcluster, none] = widths(text);
  expect(rcluster).toBeCloseTo(2 * node, 0);
  expect(none).toBe(0);
  expect(text).toContain('>8,000</text>');
  expect(text).toContain('>-</text>');
  expect(text).toContain('per s; longer is better');
});

test('figures that lie far apart are drawn by their logarithms', async () => {
  const { svg } = await draw(sample([spawn]));
  const [node, rcluster] = widths(svg['spawn_block.svg']);
  // From 0.01 to 10 ms: three powers of ten against one.
  expect(node).toBeCloseTo(3 * rcluster, 0);
  expect(svg['spawn_block.svg']).toContain('ms, logarithmic; shorter is better');
});

test('where the figures come from stands below, and text does not end a tag', async () => {
  const { svg } = await draw(sample([connections]));
  const text = svg['cluster_connections.svg'];
  expect(text).toContain(
    'medians of 3 rounds; commit abc1234, Node v20.20.2, 2 x Some &amp; Other, 2026-01-02',
  );
  expect(text).toContain('2 workers, &lt;32&gt; connections');
  expect(text.match(/<text/g)).toHaveLength(text.match(/<\/text>/g).length);
});

describe('refused', () => {
  test.each([
    ['no file', [], 'name the files'],
    ['a short run', [sample([spawn], { smoke: true })], 'is of a short run: measure without --smoke'],
    ['something else', ['{}'], 'is not what a benchmark has written'],
    ['no JSON', ['{'], 'cannot be read'],
    ['a benchmark without a chart', [sample([{ ...spawn, benchmark: 'startup' }])], 'nothing to draw'],
    ['a metric that is gone', [sample([{ ...spawn, rows: [spawn.rows[0]] }])], 'there is no "call p50"'],
  ])('%s', async (_, runs, message) => {
    const { code, stderr } = await draw(...runs);
    expect(stderr).toMatch(/^charts: .*\n$/);
    expect(stderr).toContain(message);
    expect(code).toBe(1);
  });
});

test('those in docs are drawn from what was measured', () => {
  const images = fileURLToPath(new URL('../docs/images', import.meta.url));
  for (const name of ['spawn_block.svg', 'cluster_connections.svg', 'ipc.svg', 'pool.svg']) {
    if (!readdirSync(images).includes(name)) continue;
    expect(readFileSync(join(images, name), 'utf8')).toMatch(/medians of [2-9] rounds; commit [0-9a-f]{7,}/);
  }
});
