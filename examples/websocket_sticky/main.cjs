'use strict';

const http = require('node:http');

const cluster = require('rcluster');
const { WebSocketServer } = require('ws');

if (cluster.isPrimary) {
  cluster.setupPrimary({ schedulingPolicy: cluster.SCHED_STICKY, stickyBy: 'x-forwarded-for' });
  for (let i = 0; i < 3; i++) cluster.fork();
  let listening = 0;
  cluster.on('listening', (worker, { port }) => ++listening === 3 && console.log(`listening on ${port}`));
} else {
  /** What each client has said, in this worker alone. */
  const histories = new Map();
  const server = http.createServer();
  new WebSocketServer({ server }).on('connection', (socket, request) => {
    const client = request.headers['x-forwarded-for'];
    const history = histories.get(client) ?? [];
    histories.set(client, history);
    socket.send(JSON.stringify({ worker: cluster.worker.id, history }));
    socket.on('message', (text) => history.push(String(text)));
  });
  server.listen(process.env.PORT ?? 8000);
}
