// Releases in directories of their own, and a link that leads to the one that runs.

import { realpathSync, symlinkSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';

import { afterEach, expect, test } from 'vitest';

import { APP, directoryWith, endCommands, freePort, run, start } from '../helpers/command.mjs';
import { waitFor } from '../helpers/wait.mjs';

afterEach(endCommands);

test('an instance is found by the name of its directory, wherever that leads by now', async () => {
  const cwd = directoryWith({ '1/app.js': APP, '2/app.js': APP.replace('String(process.pid)', '"two"') });
  const current = join(cwd, 'current');
  symlinkSync('1', current);
  const there = { cwd: current, env: { PWD: current, PORT: `${await freePort()}` } };
  const command = start(['app.js', '-w', '1'], there);
  const status = async () => JSON.parse((await run(['status', '--json'], there)).stdout || '{}');
  await waitFor(async () => (await status()).state === 'running', { timeout: 10_000 });
  unlinkSync(current);
  symlinkSync('2', current);
  expect(await run(['reload'], there)).toMatchObject({ code: 0 });
  expect(await status()).toMatchObject({
    pid: command.pid,
    reloads: 1,
    exec: realpathSync(join(cwd, '2/app.js')),
  });
  // By where it was started, too.
  const first = join(cwd, '1');
  expect(await run(['stop'], { cwd: first, env: { PWD: first } })).toMatchObject({ code: 0 });
  expect(await command.finished).toMatchObject({ code: 0 });
  expect((await run(['status'], there)).code).toBe(1);
});
