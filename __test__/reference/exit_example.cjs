'use strict';

// A worker that on a signal takes no more connections, waits, closes its database and ends. Only the `require` is not
// fixed.
const cluster = require(process.env.CLUSTER);
const http = require('http');

if (cluster.isMaster) {
  const worker = cluster.fork();
  cluster.on('exit', (_, code, signal) => console.log(`worker ended with ${code} ${signal}`));
  // From outside the primary is told, and passes it on.
  process.on('SIGTERM', () => worker.process.kill('SIGTERM'));
} else {
  const server = http.createServer((request, response) => {
    console.log('asked');
    setTimeout(() => response.end('answered'), 120);
  });
  process.on('SIGTERM', gracefulExit);
  process.on('SIGINT', gracefulExit);

  function gracefulExit() {
    console.log('exit begins');
    server.close(() => {
      console.log('no more connections');
      setTimeout(() => {
        closeDatabase()
          .then(() => console.log('database closed'))
          .then(() => process.exit(0))
          .catch(() => process.exit(1));
      }, 50);
    });
  }

  async function closeDatabase() {}

  server.listen(0, '127.0.0.1', () => console.log(`serves ${server.address().port}`));
}
