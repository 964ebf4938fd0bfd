'use strict';

const http = require('node:http');

/** Grows on demand, for the limit. */
const hoard = [];

const server = http.createServer((request, response) => {
  if (request.url === '/crash') process.exit(1);
  if (request.url === '/grow') hoard.push(Buffer.alloc(300e6, 1));
  response.setHeader('connection', 'close');
  response.end(JSON.stringify({ pid: process.pid, args: process.argv.slice(2), mode: process.env.NODE_ENV }));
});
// PM2's own sign that an app is ready.
server.listen(process.env.PORT, () => process.send('ready'));
process.on('SIGINT', () => server.close(() => process.exit(0)));
