'use strict';

// The same worker for a supervisor: what it has to clean up is all that is left of its shutting down.
const http = require('http');

const { onShutdown } = require('rcluster/supervisor');

onShutdown(async () => console.log('cleaned up'));
process.on('message', (message) => process.send({ echo: message }));

http
  .createServer((request, response) => {
    if (request.url === '/slow') console.log('asked');
    if (request.url === '/throw') setTimeout(() => JSON.parse('{'), 10);
    setTimeout(() => response.end(`{"pid":${process.pid}}`), request.url === '/slow' ? 120 : 0);
  })
  .listen(process.env.PORT, '127.0.0.1');
