// What a child starts with, as it sees it itself.

import nodeChildProcess from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';

import { expect, test } from 'vitest';

import { childProcess } from '../helpers/rcluster.mjs';

const { spawn } = childProcess;

/** Runs a shell command with these options and gives its output. */
async function shell(command, options = {}) {
  const child = spawn('sh', ['-c', command], { stdio: ['pipe', 'pipe', 'inherit'], ...options });
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (chunk) => (text += chunk));
  await once(child, 'close');
  return text;
}

test('no signal is blocked, and none is ignored but what the shell itself ignores', async () => {
  const status = await shell('cat /proc/self/status');
  expect(status).toMatch(/^SigBlk:\t0{16}$/m);
  expect(status).toMatch(/^SigIgn:\t0{16}$/m);
  expect(status).toMatch(/^SigPnd:\t0{16}$/m);
});

test('a signal that this process ignores is not ignored in the child', async () => {
  // Node ignores SIGPIPE: with that inherited, `yes` would see EPIPE and exit with 1, not be killed.
  const text = await shell('{ { yes; echo "killed by $?" >&3; } | head -1 >/dev/null; } 3>&1');
  expect(text.trim()).toBe('killed by 141');
});

test('no descriptor is inherited but those asked for, and those Node itself lets through', async () => {
  const fd = openSync('/dev/null');
  try {
    const list = 'exec ls /proc/self/fd';
    const inherited = nodeChildProcess.execSync(list, { encoding: 'utf8' });
    expect(await shell(list)).toBe(inherited);
    expect(inherited.split('\n')).not.toContain(String(fd));
  } finally {
    closeSync(fd);
  }
});

test('standard streams are blocking', async () => {
  const flags = await shell('for fd in 0 1 2; do grep flags: /proc/self/fdinfo/$fd; done');
  for (const line of flags.trim().split('\n')) {
    expect(Number.parseInt(line.split('\t')[1], 8) & 0o4000).toBe(0);
  }
});

test('an inherited stream gives the child open descriptors, though Node marks its own close-on-exec', async () => {
  const child = spawn('sh', ['-c', 'ls -l /proc/self/fd/0 /proc/self/fd/1 /proc/self/fd/2 >/dev/null'], {
    stdio: 'inherit',
  });
  expect(await once(child, 'exit')).toEqual([0, null]);
});

test('stdout and stderr may be swapped, and one descriptor given twice', async () => {
  const child = spawn('sh', ['-c', 'echo out; echo err >&2'], { stdio: ['ignore', 2, 1] });
  await once(child, 'exit');
  expect(child.exitCode).toBe(0);
});

test('descriptors land on their own numbers, whatever the order', async () => {
  const files = [openSync('/dev/null'), openSync('/dev/zero'), openSync('/dev/full')];
  try {
    const [nul, zero, full] = files;
    const options = { stdio: ['ignore', 'pipe', 'inherit', full, zero, nul, zero] };
    const text = await shell('for fd in 3 4 5 6; do readlink /proc/self/fd/$fd; done', options);
    expect(text.trim().split('\n')).toEqual(['/dev/full', '/dev/zero', '/dev/null', '/dev/zero']);
  } finally {
    files.forEach((fd) => closeSync(fd));
  }
});

test('detached makes a session', async () => {
  const text = await shell('cut -d" " -f1,6 /proc/$$/stat', { detached: true });
  const [pid, session] = text.trim().split(' ');
  expect(session).toBe(pid);
});
