// The load generator's process: a plain HTTP/1.1 client over `net`, the same for both sides of every pair.
// Options come as JSON in argv[2], the result goes as JSON to stdout.
//
// In connection-per-request mode the request says `Connection: close` and the client waits for the server's FIN
// before it opens the next connection, as a well-behaved client does. (autocannon's `reconnectRate: 1` does not
// count the response before which it reconnects, so it cannot measure this.)

import net from 'node:net';
import { createHistogram } from 'node:perf_hooks';

const REQUEST_TIMEOUT_MS = 5000;

const options = JSON.parse(process.argv[2]);
const { port, path = '/', connections, keepAlive, seconds, warmup = 0, count = Infinity } = options;
const request = `GET ${path} HTTP/1.1\r\nHost: localhost\r\n${keepAlive ? '' : 'Connection: close\r\n'}\r\n`;

const latency = createHistogram();
const workers = {};
const errors = {};
let requests = 0;
let measuring = false;
let stopped = false;
let begun = 0;
let ended = 0;
/** Called once `count` connections have ended. */
let allEnded = () => {};

for (let i = 0; i < connections; i++) connect();

await pause(warmup * 1000);
measuring = true;
const startedAt = performance.now();
await Promise.race([pause(seconds * 1000), new Promise((resolve) => (allEnded = resolve))]);
stopped = true;
const elapsed = (performance.now() - startedAt) / 1000;

const milliseconds = (percentile) => latency.percentile(percentile) / 1e6;
const result = {
  requests,
  perSecond: requests / elapsed,
  p50: requests ? milliseconds(50) : null,
  p99: requests ? milliseconds(99) : null,
  errors: Object.values(errors).reduce((sum, count) => sum + count, 0),
  errorKinds: errors,
  workers,
};
process.stdout.write(JSON.stringify(result), () => process.exit());

/** Keeps one connection busy; where it ends, the next takes its place. */
function connect() {
  if (stopped || begun === count) return;
  begun++;
  let head = '';
  let bodyLeft = -1;
  let sentAt = performance.now();
  const socket = net.connect(port, '127.0.0.1');
  socket.setNoDelay(true).setTimeout(REQUEST_TIMEOUT_MS);
  socket.on('connect', () => socket.write(request));
  socket.on('timeout', () => socket.destroy(Object.assign(new Error('timeout'), { code: 'TIMEOUT' })));
  socket.on('error', (error) => failed(error.code ?? error.message));
  socket.on('close', () => {
    if (++ended === count) allEnded();
    connect();
  });
  // Between two requests an end is the server's right; within one it has lost the request.
  socket.on('end', () => {
    if (sentAt) failed('CUT');
  });
  socket.on('data', (chunk) => {
    if (bodyLeft < 0) {
      head += chunk.latin1Slice();
      const end = head.indexOf('\r\n\r\n');
      if (end < 0) return;
      bodyLeft = Number(/\r\ncontent-length: (\d+)/i.exec(head)[1]) - (head.length - end - 4);
    } else {
      bodyLeft -= chunk.length;
    }
    if (bodyLeft > 0) return;
    answered(head, sentAt);
    sentAt = 0;
    if (!keepAlive) return;
    head = '';
    bodyLeft = -1;
    sentAt = performance.now();
    socket.write(request);
  });
}

function answered(head, sentAt) {
  if (!measuring || stopped) return;
  if (!head.startsWith('HTTP/1.1 200')) return failed(head.slice(9, 12));
  requests++;
  latency.record(Math.max(1, Math.round((performance.now() - sentAt) * 1e6)));
  const worker = /\r\nx-worker: (\S+)/i.exec(head)?.[1];
  if (worker) workers[worker] = (workers[worker] ?? 0) + 1;
}

function failed(kind) {
  if (!stopped) errors[kind] = (errors[kind] ?? 0) + 1;
}

function pause(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
