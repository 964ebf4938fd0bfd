'use strict';

// The loads of all workers by one call; the workers have nothing in them for it.
const cluster = require('rcluster');
const http = require('http');

if (cluster.isPrimary) {
  cluster.fork();
  cluster.fork();
  const timer = setInterval(() => {
    const loads = Object.values(cluster.loads());
    if (loads.length < 2 || loads.some(({ heapUsed }) => heapUsed === 0)) return;
    clearInterval(timer);
    console.log(JSON.stringify(loads));
    cluster.disconnect();
  }, 20);
} else {
  http.createServer().listen(0, '127.0.0.1');
}
