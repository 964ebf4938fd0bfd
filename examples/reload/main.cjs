'use strict';

const cluster = require('rcluster');
const http = require('node:http');
const { once } = require('node:events');

const count = Number(process.env.WORKERS) || cluster.availableParallelism();
const port = process.env.PORT ?? 8000;

/** Starts a worker and waits until it serves. */
async function start() {
  const worker = cluster.fork();
  const [address] = await once(worker, 'listening');
  return { worker, address };
}

async function reload() {
  for (const old of Object.values(cluster.workers)) {
    await start();
    // Stops accepting, and ends when its connections are closed.
    old.disconnect();
    await once(old, 'exit');
  }
  console.log('reloaded');
}

async function primary() {
  const started = await Promise.all(Array.from({ length: count }, start));
  console.log(`${process.pid} listening on ${started[0].address.port}`);
  let reloading = Promise.resolve();
  process.on('SIGHUP', () => (reloading = reloading.then(reload)));
  // A worker that crashed, not one that was asked to go.
  cluster.on('exit', ({ exitedAfterDisconnect }) => exitedAfterDisconnect || start());
}

function worker() {
  const server = http.createServer((request, response) => {
    // A connection that is kept would keep the old worker.
    if (cluster.worker.exitedAfterDisconnect) response.setHeader('connection', 'close');
    response.end(`${process.pid}\n`);
  });
  server.listen(port);
  cluster.worker.on('disconnect', () => server.closeIdleConnections());
}

if (cluster.isPrimary) primary();
else worker();
