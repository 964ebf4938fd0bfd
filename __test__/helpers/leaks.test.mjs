import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';

import { expect, test } from 'vitest';

import { expectNoLeaks } from './leaks.mjs';
import { childrenOf, countFds, countZombies, isAlive } from './process_state.mjs';
import { waitFor } from './wait.mjs';

const soon = { timeout: 200 };

test('a descriptor left open is a leak', async () => {
  let fd;
  const leak = expectNoLeaks(() => {
    fd = openSync('/dev/null');
  }, soon);
  await expect(leak).rejects.toThrow('/dev/null');
  closeSync(fd);
});

test('a child left running is a leak, one that has ended is not', async () => {
  let child;
  const leak = expectNoLeaks(() => {
    child = spawn('sleep', ['60'], { stdio: 'ignore' });
  }, soon);
  await expect(leak).rejects.toThrow('sleep');
  expect(isAlive(child.pid)).toBe(true);
  child.kill();
  await once(child, 'exit');
  await expectNoLeaks(async () => {
    await once(spawn('true'), 'close');
  });
});

test('zombies are counted', async () => {
  // A stopped shell does not collect its child.
  const shell = spawn('sh', ['-c', 'sleep 0.1 & kill -STOP $$; wait'], { stdio: 'ignore' });
  const zombies = () => childrenOf(shell.pid).filter(({ state }) => state === 'Z');
  await waitFor(() => zombies().length === 1);
  expect(countZombies()).toBe(0);
  shell.kill('SIGKILL');
  await once(shell, 'exit');
});

test('reading the descriptors leaves none', () => {
  const before = countFds();
  for (let i = 0; i < 10; i++) countFds();
  expect(countFds()).toBe(before);
});
