'use strict';

// A worker that logs rejections, and on an exception finishes its requests, cleans up and ends; the primary starts the
// next one. Only the `require` is not fixed.
const cluster = require(process.env.CLUSTER);
const http = require('http');

if (cluster.isMaster) {
  cluster.fork();
  cluster.on('exit', (worker, code) => {
    console.log(`worker ended with ${code}`);
    cluster.fork();
  });
} else {
  const server = http.createServer((request, response) => {
    if (request.url === '/reject') Promise.reject(new Error('rejected'));
    if (request.url === '/slow') console.log('asked');
    if (request.url === '/throw') setTimeout(() => JSON.parse('{'), 10);
    setTimeout(() => response.end(`${process.pid}`), request.url === '/slow' ? 120 : 0);
  });

  process.on('uncaughtException', (error) => {
    console.log(`uncaught: ${error.name}`);
    gracefulShutdown();
  });
  process.on('unhandledRejection', (reason) => console.log(`unhandled: ${reason.message}`));

  function gracefulShutdown() {
    server.close(() => {
      cleanup()
        .then(() => process.exit(1))
        .catch(() => process.exit(2));
    });
    setTimeout(() => {
      console.log('forced');
      process.exit(3);
    }, 10_000);
  }

  async function cleanup() {
    console.log('cleaned up');
  }

  server.listen(0, '127.0.0.1', () => console.log(`serves ${server.address().port}`));
}
