'use strict';

// A cluster as introductions to Node show it: fork, serve, replace who dies. Only the `require` is not fixed.
const cluster = require(process.env.CLUSTER);
const http = require('http');

const workerCount = 2;

if (cluster.isMaster) {
  console.log(`primary ${process.pid} runs`);
  for (let i = 0; i < workerCount; i++) cluster.fork();

  cluster.on('exit', (worker, code, signal) => {
    console.log(`worker ${worker.process.pid} exited ${code} ${signal}`);
    cluster.fork();
  });
} else {
  const server = http.createServer((request, response) => {
    response.writeHead(200);
    response.end(`hello from ${process.pid}\n`);
  });
  server.listen(0, '127.0.0.1', () => {
    console.log(`worker ${process.pid} started on ${server.address().port}`);
  });
}
