'use strict';

// What PM2's god daemon does for the cluster apps of an ecosystem file, in the foreground. One app a process: start this
// once for each.

const path = require('node:path');
const { once } = require('node:events');
const { setTimeout: delay } = require('node:timers/promises');

const cluster = require('rcluster');

const file = path.resolve(__dirname, process.argv[2] ?? 'ecosystem.config.cjs');
const { apps } = require(file);
const app = apps.find(({ name }) => name === process.argv[3]) ?? apps[0];

const UNITS = { K: 2 ** 10, M: 2 ** 20, G: 2 ** 30 };
const MEMORY_INTERVAL = 200;

/** Bytes of PM2's `200M`. */
function bytesOf(text) {
  const [, number, unit] = /^(\d+)([KMG])$/.exec(text) ?? [];
  return number === undefined ? Infinity : Number(number) * UNITS[unit];
}

function instances() {
  const { instances: wanted = 1 } = app;
  if (wanted === 'max' || Number(wanted) === 0) return cluster.availableParallelism();
  return Number(wanted) > 0 ? Number(wanted) : Math.max(1, cluster.availableParallelism() + Number(wanted));
}

let restarts = 0;
let isStopping = false;

/** Starts a worker; settles when it is ready, as far as PM2 would know. */
async function start() {
  const worker = cluster.fork(app.env);
  worker.once('exit', () => void replace(worker));
  const isReady = app.wait_ready
    ? (async () => {
        for (;;) if ((await once(worker, 'message'))[0] === 'ready') return;
      })()
    : once(worker, 'listening');
  await Promise.race([isReady, delay(app.listen_timeout ?? 3000, undefined, { ref: false })]);
  return worker;
}

async function replace(worker) {
  if (isStopping || worker.isReplaced) return;
  if (++restarts > (app.max_restarts ?? 16)) {
    console.error(`${app.name}: restarted too often`);
    process.exit(1);
  }
  await start();
}

/** The new one first, then the old one ends: SIGINT, and SIGKILL when it has had its time. */
async function exchange(worker) {
  worker.isReplaced = true;
  await start();
  stop(worker);
}

function stop(worker) {
  worker.process.kill('SIGINT');
  const timer = setTimeout(() => worker.process.kill('SIGKILL'), app.kill_timeout ?? 1600);
  worker.once('exit', () => clearTimeout(timer));
}

function watchMemory() {
  const limit = bytesOf(app.max_memory_restart);
  for (const [id, { rss }] of Object.entries(cluster.loads())) {
    const worker = cluster.workers[id];
    if (rss > limit && !worker.isReplaced) void exchange(worker);
  }
}

async function main() {
  cluster.setupPrimary({
    exec: path.resolve(path.dirname(file), app.script),
    args: typeof app.args === 'string' ? app.args.split(' ') : (app.args ?? []),
    // With it a worker's memory is known without asking.
    execArgv: ['--require', 'rcluster/register', ...(app.node_args ?? [])],
  });
  const listening = once(cluster, 'listening');
  await Promise.all(Array.from({ length: instances() }, start));
  const [, { port }] = await listening;
  console.log(`${app.name} listening on ${port}`);
  setInterval(watchMemory, MEMORY_INTERVAL);

  const end = () => {
    isStopping = true;
    for (const worker of Object.values(cluster.workers)) stop(worker);
    cluster.on('exit', () => Object.keys(cluster.workers).length === 0 && process.exit(0));
  };
  process.on('SIGINT', end).on('SIGTERM', end);
}

main();
