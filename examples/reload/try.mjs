// Reloads twice under load: every request is answered, and by new processes in the end.

import assert from 'node:assert';
import { spawn } from 'node:child_process';
import { once } from 'node:events';

const main = spawn(process.execPath, ['main.cjs'], {
  cwd: import.meta.dirname,
  env: { ...process.env, PORT: '0', WORKERS: '2' },
  stdio: ['ignore', 'pipe', 'inherit'],
});
main.stdout.setEncoding('utf8');
const [text] = await once(main.stdout, 'data');
const port = /listening on (\d+)/.exec(text)[1];

// A connection for each: one that is kept may be closed just when it is used again, with any server.
const headers = { connection: 'close' };
const answer = async () => (await fetch(`http://127.0.0.1:${port}`, { headers })).text();
const before = new Set(await Promise.all(Array.from({ length: 8 }, answer)));

const reloads = (async () => {
  for (let i = 0; i < 2; i++) {
    main.kill('SIGHUP');
    while (!String((await once(main.stdout, 'data'))[0]).includes('reloaded'));
  }
  return 'done';
})();
let requests = 0;
do {
  await answer();
  requests++;
} while ((await Promise.race([reloads, undefined])) !== 'done');
console.log(`${requests} requests while reloading twice, none lost`);
const after = await answer();
assert.ok(!before.has(after));

main.kill();
await once(main, 'exit');
