// Ten clients behind one proxy, each three times: each finds what it has said before.

import assert from 'node:assert';
import { spawn } from 'node:child_process';
import { once } from 'node:events';

import { WebSocket } from 'ws';

const main = spawn(process.execPath, ['main.cjs'], {
  cwd: import.meta.dirname,
  env: { ...process.env, PORT: '0' },
  stdio: ['ignore', 'pipe', 'inherit'],
});
main.stdout.setEncoding('utf8');
const [text] = await once(main.stdout, 'data');
const port = /listening on (\d+)/.exec(text)[1];

const workers = new Set();
for (let visit = 0; visit < 3; visit++) {
  for (let client = 1; client <= 10; client++) {
    const headers = { 'x-forwarded-for': `203.0.113.${client}` };
    const socket = new WebSocket(`ws://127.0.0.1:${port}`, { headers });
    const { worker, history } = JSON.parse(String((await once(socket, 'message'))[0]));
    assert.deepEqual(history, ['first', 'second'].slice(0, visit));
    workers.add(worker);
    socket.send(['first', 'second', 'third'][visit]);
    socket.close();
    await once(socket, 'close');
  }
}
assert.ok(workers.size > 1);
console.log(`10 clients on ${workers.size} workers, each back where it was`);

main.kill();
await once(main, 'exit');
