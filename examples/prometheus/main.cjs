'use strict';

const http = require('node:http');
const { once } = require('node:events');

const cluster = require('rcluster');
const { AggregatorRegistry, Counter, Gauge, Registry } = require('prom-client');

/** The gauges of the primary, set when they are asked for. */
function loadMetrics() {
  const registry = new Registry();
  const gauges = {
    open: ['rcluster_open_connections', 'Connections that are open'],
    adopted: ['rcluster_connections_total', 'Connections that the worker has got'],
    utilization: ['rcluster_event_loop_utilization', 'Time in which the event loop does not wait, 0 to 1'],
    silentFor: ['rcluster_silent_milliseconds', 'Since the event loop turned'],
  };
  for (const [property, [name, help]] of Object.entries(gauges)) {
    const gauge = new Gauge({
      name,
      help,
      labelNames: ['worker'],
      registers: [registry],
      collect() {
        gauge.reset();
        for (const [worker, load] of Object.entries(cluster.loads())) gauge.set({ worker }, load[property]);
      },
    });
  }
  return registry;
}

async function primary() {
  const ours = loadMetrics();
  const ofWorkers = new AggregatorRegistry();
  for (let i = 0; i < 2; i++) cluster.fork();
  const [, { port }] = await once(cluster, 'listening');
  await once(cluster, 'listening');

  const server = http.createServer(async (request, response) => {
    response.setHeader('content-type', ours.contentType);
    response.end((await ours.metrics()) + (await ofWorkers.clusterMetrics()));
  });
  server.listen(process.env.METRICS_PORT ?? 9000, '127.0.0.1', () => {
    console.log(`listening on ${port}, metrics on ${server.address().port}`);
  });
}

function worker() {
  // Answers the primary.
  void new AggregatorRegistry();
  const requests = new Counter({ name: 'http_requests_total', help: 'Requests served' });
  http
    .createServer((request, response) => {
      requests.inc();
      response.end('hello\n');
    })
    .listen(process.env.PORT ?? 8000);
}

if (cluster.isPrimary) primary();
else worker();
