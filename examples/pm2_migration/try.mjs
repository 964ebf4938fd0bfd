// The app as it was: arguments, environment, instances; a worker that crashes or grows too big is replaced.

import assert from 'node:assert';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';

const main = spawn(process.execPath, ['main.cjs'], {
  cwd: import.meta.dirname,
  env: { ...process.env, PORT: '0' },
  stdio: ['ignore', 'pipe', 'inherit'],
});
main.stdout.setEncoding('utf8');
const [text] = await once(main.stdout, 'data');
const port = /api listening on (\d+)/.exec(text)[1];

const ask = async (path = '/') => (await fetch(`http://127.0.0.1:${port}${path}`)).json();
const pids = async () => new Set((await Promise.all([ask(), ask(), ask(), ask()])).map(({ pid }) => pid));

/** Waits until two workers answer of which `gone` is none. */
async function untilReplaced(gone) {
  for (;;) {
    const now = await pids();
    if (now.size === 2 && !now.has(gone)) return;
    await delay(50);
  }
}

const { args, mode, pid } = await ask();
assert.deepEqual([args, mode], [['--color', 'never'], 'production']);
await untilReplaced(0);

const crashing = ask('/crash').catch(() => undefined);
await crashing;
await delay(200);
await untilReplaced(0);

const { pid: big } = await ask('/grow');
await untilReplaced(big);
console.log(
  `2 instances, one replaced after a crash, ${big === pid ? 'the first' : 'another'} after it had grown`,
);

main.kill('SIGINT');
assert.deepEqual(await once(main, 'exit'), [0, null]);
