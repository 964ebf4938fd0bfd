// Runs app.js on Node's cluster and on rcluster in turn, under the same load, and prints one report. In each run one
// worker is killed while requests come in. The order is swapped between rounds; ports are whatever is free.

import { createHistogram } from 'node:perf_hooks';

import autocannon from 'autocannon';

import { load } from '../../benchmark/lib/load.mjs';
import { lead } from '../../benchmark/lib/pair.mjs';
import { startNode, stop } from '../../benchmark/lib/processes.mjs';
import { format, median } from '../../benchmark/lib/stats.mjs';

const app = new URL('app.js', import.meta.url);
const WORKERS = 2;
const CONNECTIONS = 32;
const ROUNDS = 4;
const SECONDS = 2;
const KILL_AFTER_MS = 500;

const sides = [
  { title: "Node's cluster", module: 'cluster' },
  { title: 'rcluster', module: 'rcluster' },
];

/** Measures both sides and prints the report. */
export async function report() {
  const seconds = ROUNDS * sides.length * (3 * SECONDS + 1);
  console.log(`\nexamples/http/app.js on ${sides.map(({ title }) => title).join(' and on ')}, in turn:`);
  console.log(
    `${WORKERS} workers, ${CONNECTIONS} connections, ${ROUNDS} rounds; about ${seconds} seconds.\n`,
  );

  const results = sides.map(() => []);
  for (let round = 0; round < ROUNDS; round++) {
    const order = round % 2 ? [1, 0] : [0, 1];
    for (const side of order) {
      console.log(`round ${round + 1}, ${sides[side].title}`);
      results[side].push(await measure(sides[side].module));
    }
  }
  console.log(`\n${render(results)}`);
}

/** One run of the app: keep-alive load, a connection for each request, and a worker killed under load. */
async function measure(module) {
  const server = await startApp(module);
  try {
    const keepAlive = await keepAliveLoad(server.port);
    progress('keep-alive', keepAlive);
    const options = { port: server.port, connections: CONNECTIONS, keepAlive: false };
    const perConnection = await load({ ...options, seconds: SECONDS, warmup: 0.5 });
    progress('connection per request', perConnection);

    const underKill = load({ ...options, seconds: SECONDS });
    await new Promise((resolve) => setTimeout(resolve, KILL_AFTER_MS));
    const back = await server.killOne();
    const killed = { ...(await underKill), back };
    console.log(
      `  worker killed: another listens after ${format(back)} ms, failed requests: ${killed.errors}`,
    );
    return { keepAlive, perConnection, killed };
  } finally {
    await stop(server.child);
  }
}

/** Starts the app and waits until every worker listens. */
async function startApp(module) {
  const child = startNode(app, [], { CLUSTER_MODULE: module, WORKERS: String(WORKERS), PORT: '0' });
  const listening = [];
  let port = 0;
  let output = '';
  /** @type {(() => void) | undefined} */
  let onWorker;
  child.stdout.on('data', (text) => {
    const lines = (output + text).split('\n');
    output = lines.pop();
    for (const line of lines) {
      const [, pid, at] = /^worker (\d+) listening on \S+:(\d+)$/.exec(line) ?? [];
      if (!pid) continue;
      listening.push(Number(pid));
      port = Number(at);
      onWorker?.();
    }
  });

  const listeners = (count) =>
    new Promise((resolve, reject) => {
      onWorker = () => listening.length >= count && resolve();
      onWorker();
      child.once('exit', () => reject(new Error(`the app on ${module} ended before its workers listened`)));
    });
  await listeners(WORKERS);

  /** Kills the first worker; resolves with the milliseconds until its replacement listens. */
  async function killOne() {
    const startedAt = performance.now();
    process.kill(listening[0], 'SIGKILL');
    await listeners(listening.length + 1);
    return performance.now() - startedAt;
  }

  return { child, port, killOne };
}

/** Keep-alive load by autocannon, in the shape of `load`. */
async function keepAliveLoad(port) {
  const latency = createHistogram();
  const workers = {};
  const setupClient = (client) =>
    client.on('headers', ({ headers }) => {
      const worker = headers[headers.indexOf('x-worker') + 1];
      workers[worker] = (workers[worker] ?? 0) + 1;
    });
  const running = autocannon({
    url: `http://127.0.0.1:${port}/`,
    connections: CONNECTIONS,
    duration: SECONDS,
    setupClient,
  });
  running.on('response', (_client, _status, _bytes, milliseconds) =>
    latency.record(Math.max(1, Math.round(milliseconds * 1e6))),
  );
  const result = await running;
  return {
    requests: result.requests.total,
    perSecond: result.requests.total / result.duration,
    p50: latency.percentile(50) / 1e6,
    p99: latency.percentile(99) / 1e6,
    errors: result.errors + result.non2xx,
    workers,
  };
}

function progress(what, { perSecond, p99, errors }) {
  console.log(`  ${what}: ${format(perSecond)} requests/s, p99 ${format(p99)} ms, ${errors} errors`);
}

function render(results) {
  const rows = [['', ...sides.map(({ title }) => title), 'ratio']];
  const all = (side, phase, key) => results[side].map((run) => run[phase][key]);
  const total = (side, phase, key) => all(side, phase, key).reduce((sum, value) => sum + value, 0);
  const row = (name, cell) => rows.push([name, ...sides.map((_, side) => cell(side))]);
  /** Adds a row with a ratio; more than 1 is always rcluster's lead. */
  const compared = (name, phase, key, better) => {
    const [node, ours] = sides.map((_, side) => all(side, phase, key));
    const ratio = median(node.map((value, round) => lead(value, ours[round], better)));
    rows.push([name, format(median(node)), format(median(ours)), `${ratio?.toFixed(2) ?? '-'}x`]);
  };

  for (const [phase, title] of [
    ['keepAlive', 'keep-alive'],
    ['perConnection', 'connection per request'],
  ]) {
    rows.push([title]);
    compared('  requests/s', phase, 'perSecond', 'higher');
    compared('  p50 ms', phase, 'p50', 'lower');
    compared('  p99 ms', phase, 'p99', 'lower');
    row('  errors', (side) => String(total(side, phase, 'errors')));
    row('  share of each worker', (side) => shares(results[side].at(-1)[phase].workers));
  }
  rows.push(['worker killed under load']);
  compared('  another listens after ms', 'killed', 'back', 'lower');
  row(
    '  failed requests',
    (side) => `${total(side, 'killed', 'errors')} of ${format(total(side, 'killed', 'requests'))}`,
  );
  return table(rows);
}

function shares(workers) {
  const counts = Object.values(workers);
  const sum = counts.reduce((a, b) => a + b, 0);
  return counts.map((count) => `${Math.round((100 * count) / sum)} %`).join(' ');
}

function table(rows) {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => (row[column] ?? '').length)));
  const line = (row) =>
    row.map((cell, i) => (i ? cell.padStart(widths[i] + 3) : cell.padEnd(widths[i]))).join('');
  return rows.map((row) => line(row).trimEnd()).join('\n');
}
