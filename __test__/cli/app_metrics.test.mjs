// prom-client's metrics of several workers, in sum.

import { createRequire } from 'node:module';

import { Counter, Gauge, Histogram, Registry, Summary } from 'prom-client';
import { expect, test } from 'vitest';

const require = createRequire(import.meta.url);
const { AppMetrics } = require('../../lib/supervisor/app_metrics.js');
const { OPEN_METRICS_TYPE, render } = require('../../lib/supervisor/open_metrics.js');
const { exposeMetrics, readMetrics } = require('../../lib/supervisor/worker_metrics.js');

/** What one worker has counted, as it arrives. */
async function counted(count) {
  const registers = [new Registry()];
  const [registry] = registers;
  const labelNames = ['path'];
  const counter = new Counter({ name: 'requests_total', help: 'requests', labelNames, registers });
  counter.inc({ path: '/"a"\\' }, count);
  if (count > 5) counter.inc({ path: '/b' });
  new Counter({ name: 'errors', help: 'no ending', registers }).inc(count);
  new Gauge({ name: 'open', help: 'open', registers }).set(count);
  new Gauge({ name: 'oldest', help: 'oldest', registers, aggregator: 'max' }).set(count);
  new Gauge({ name: 'mean', help: 'mean', registers, aggregator: 'average' }).set(count);
  new Gauge({ name: 'version', help: 'version', registers, aggregator: 'first' }).set(count);
  new Gauge({ name: 'private', help: 'private', registers, aggregator: 'omit' }).set(count);
  new Gauge({ name: 'unknown', help: 'not a number', registers }).set(NaN);
  new Histogram({ name: 'seconds', help: 'time', buckets: [0.1, 1], registers }).observe(count / 100);
  new Summary({ name: 'size', help: 'size', percentiles: [0.5], registers }).observe(count);
  return JSON.parse(JSON.stringify(await registry.getMetricsAsJSON()));
}

/** A supervisor whose workers, by pid, answer with what they are given. */
function supervisorOf(answers) {
  const supervisor = {
    answers,
    get workers() {
      return Object.keys(supervisor.answers).map((pid) => ({
        id: Number(pid),
        pid: Number(pid),
        state: 'ready',
      }));
    },
    async ask(id) {
      const answer = supervisor.answers[id];
      if (answer === 'hung') throw new Error('timeout');
      return answer && { pid: id, metrics: answer };
    },
  };
  return supervisor;
}

test('each is merged as its aggregator says, and both formats have its name right', async () => {
  const supervisor = supervisorOf({ 1: await counted(3), 2: await counted(20), 3: null });
  const families = await new AppMetrics().collect(supervisor);
  const plain = render(families, false);
  expect(plain).toContain(
    '# TYPE requests_total counter\nrequests_total{path="/\\"a\\"\\\\"} 23\nrequests_total{path="/b"} 1\n',
  );
  expect(plain).toContain('# TYPE errors counter\nerrors 23\n');
  expect(plain).toContain('\nopen 23\n');
  expect(plain).toContain('\noldest 20\n');
  expect(plain).toContain('\nmean 11.5\n');
  expect(plain).toContain('\nversion 3\n');
  expect(plain).not.toContain('private');
  expect(plain).toContain(
    'seconds_bucket{le="0.1"} 1\nseconds_bucket{le="1"} 2\nseconds_bucket{le="+Inf"} 2\n',
  );
  expect(plain).toContain('seconds_sum 0.23\nseconds_count 2\n');
  expect(plain).toContain('size_sum 23\nsize_count 2\n');
  const open = render(families, true);
  expect(open).toContain('# TYPE requests counter\nrequests_total{path="/b"}'.slice(0, 24));
  expect(open).toContain('# TYPE errors counter\nerrors_total 23\n');
  expect(OPEN_METRICS_TYPE).toBe(Registry.OPENMETRICS_CONTENT_TYPE);
});

test('what a hung worker told last still counts, and a counter outlives its worker', async () => {
  const supervisor = supervisorOf({ 1: await counted(3), 2: await counted(20) });
  const metrics = new AppMetrics();
  await metrics.collect(supervisor);
  supervisor.answers = { 1: 'hung', 2: await counted(21) };
  expect(render(await metrics.collect(supervisor), false)).toContain('\nerrors 24\n');
  // The second one is replaced.
  supervisor.answers = { 1: 'hung', 3: await counted(1) };
  const text = render(await metrics.collect(supervisor), false);
  expect(text).toContain('\nerrors 25\n');
  expect(text).toContain('seconds_count 3\n');
  // What is no count goes with its worker.
  expect(text).toContain('\nopen 4\n');
  supervisor.answers = {};
  expect(render(await metrics.collect(supervisor), false)).toContain('\nerrors 25\n');
});

test('a worker finds the registry of the prom-client its app has loaded, and those that it names', async () => {
  const promClient = require('prom-client');
  promClient.register.clear();
  new promClient.Counter({ name: 'found_total', help: 'found' }).inc(2);
  const other = new promClient.Registry();
  new promClient.Gauge({ name: 'named', help: 'named', registers: [other] }).set(1);
  expect((await readMetrics()).metrics.map(({ name }) => name)).toEqual(['found_total']);
  exposeMetrics(other);
  exposeMetrics(other);
  expect((await readMetrics()).metrics.map(({ name }) => name).sort()).toEqual(['found_total', 'named']);
  expect(() => exposeMetrics({})).toThrow(TypeError);
});
