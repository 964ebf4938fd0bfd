'use strict';
// Plain JavaScript, checked: the `require` is all that differs from Node's.

const cluster = require('rcluster');
const { spawn, fork } = require('rcluster/child_process');
const http = require('node:http');

if (cluster.isMaster) {
  for (let i = 0; i < 2; i++) cluster.fork();
  cluster.on('exit', (worker, code, signal) => {
    /** @type {number | undefined} */
    const pid = worker.process.pid;
    console.log(pid, code, signal);
    cluster.fork();
  });
  const child = fork('child.js');
  child.on('message', (message) => console.log(message));
  child.send({ hello: 'world' });
  spawn('ls').stdout.on('data', (data) => console.log(`${data}`));
} else {
  http.createServer((req, res) => res.end(req.url)).listen(8000);
}
