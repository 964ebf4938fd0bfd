// Twenty requests are counted, whichever worker has served them.

import assert from 'node:assert';
import { spawn } from 'node:child_process';
import { once } from 'node:events';

const main = spawn(process.execPath, ['main.cjs'], {
  cwd: import.meta.dirname,
  env: { ...process.env, PORT: '0', METRICS_PORT: '0' },
  stdio: ['ignore', 'pipe', 'inherit'],
});
main.stdout.setEncoding('utf8');
const [text] = await once(main.stdout, 'data');
const [, port, metricsPort] = /listening on (\d+), metrics on (\d+)/.exec(text);

for (let i = 0; i < 20; i++) {
  await (await fetch(`http://127.0.0.1:${port}`, { headers: { connection: 'close' } })).text();
}
const metrics = await (await fetch(`http://127.0.0.1:${metricsPort}`)).text();
assert.match(metrics, /^http_requests_total 20$/m);
const taken = [...metrics.matchAll(/^rcluster_connections_total\{worker="\d"\} (\d+)$/gm)].map(([, n]) =>
  Number(n),
);
assert.deepEqual(taken, [10, 10]);
console.log('20 requests, 10 connections for each worker');

main.kill();
await once(main, 'exit');
