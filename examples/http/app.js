'use strict';

// An ordinary clustered HTTP server. CLUSTER_MODULE chooses the cluster: `cluster` is Node's own, `rcluster` ours;
// nothing else differs.

const cluster = require(process.env.CLUSTER_MODULE ?? 'rcluster');
const http = require('node:http');

const workerCount = Number(process.env.WORKERS ?? 2);
const port = Number(process.env.PORT ?? 0);

if (cluster.isPrimary) {
  for (let i = 0; i < workerCount; i++) cluster.fork();
  cluster.on('listening', (worker, address) => {
    console.log(`worker ${worker.process.pid} listening on http://127.0.0.1:${address.port}`);
  });
  cluster.on('exit', (worker, code, signal) => {
    console.log(`worker ${worker.process.pid} died (${signal ?? code})`);
    cluster.fork();
  });
} else {
  http.createServer(handle).listen(port, '127.0.0.1');
}

const routes = {
  '/': (_request, response) => response.end('hello\n'),
  '/json': (request, response) => {
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ pid: process.pid, url: request.url, uptime: process.uptime() }));
  },
  '/cpu': (_request, response) => response.end(`${burn(5)}\n`),
  '/crash': () => {
    throw new Error('/crash was asked for');
  },
};

function handle(request, response) {
  response.setHeader('x-worker', String(process.pid));
  const route = routes[request.url];
  if (route) return route(request, response);
  response.statusCode = 404;
  response.end('not found\n');
}

/** Keeps the CPU busy, as rendering a page would. */
function burn(milliseconds) {
  const end = performance.now() + milliseconds;
  let rounds = 0;
  while (performance.now() < end) rounds++;
  return rounds;
}
