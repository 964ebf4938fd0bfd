import { once } from 'node:events';

import { expect, test } from 'vitest';

import { isAlive } from '../helpers/process_state.mjs';
import { childProcess } from '../helpers/rcluster.mjs';
import { waitFor } from '../helpers/wait.mjs';

const { spawn } = childProcess;

/** Starts a shell and waits for the pids it prints, one a line. */
async function startShell(script, count, options) {
  const child = spawn('sh', ['-c', script], { stdio: ['ignore', 'pipe', 'inherit'], ...options });
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (chunk) => (text += chunk));
  await waitFor(() => text.split('\n').length > count, { what: () => `pids in ${text}` });
  return { child, pids: text.trim().split('\n').map(Number) };
}

/** Whether none of these runs any more. */
const allGone = (pids) => waitFor(() => pids.every((pid) => !isAlive(pid)), { what: `${pids} gone` });

test('a child and its grandchildren get the signal', async () => {
  const { child, pids } = await startShell('sleep 60 & echo $!; (sleep 60 & echo $!; wait) & wait', 2);
  const { signal, pids: reached, failed } = child.killTree('SIGKILL');
  expect(signal).toBe('SIGKILL');
  expect(failed).toEqual([]);
  expect(reached).toEqual(expect.arrayContaining([...pids, child.pid]));
  expect(child.killed).toBe(true);
  await once(child, 'exit');
  expect(child.signalCode).toBe('SIGKILL');
  await allGone(pids);
});

test('a grandchild that has made a session of its own is found', async () => {
  const { child, pids } = await startShell('setsid sh -c "echo \\$\\$; exec sleep 60" & wait', 1);
  child.killTree('SIGKILL');
  await once(child, 'exit');
  await allGone(pids);
});

test('a daemon whose parents have died is found by its mark', async () => {
  const daemon = '(setsid sh -c "echo \\$\\$; exec sleep 60" &) & wait; sleep 60';
  const { child, pids } = await startShell(daemon, 1, { killTree: true });
  await waitFor(() => isAlive(pids[0]));
  const { pids: reached } = child.killTree('SIGKILL');
  expect(reached).toContain(pids[0]);
  await once(child, 'exit');
  await allGone(pids);
});

test('with the option, kill() and a time-out reach the whole tree', async () => {
  const { child, pids } = await startShell('sleep 60 & echo $!; wait', 1, { killTree: true, timeout: 300 });
  const [code, signal] = await once(child, 'exit');
  expect([code, signal]).toEqual([null, 'SIGTERM']);
  await allGone(pids);
});

test('nothing but the tree is touched', async () => {
  const other = spawn('sleep', ['60'], { stdio: 'ignore' });
  const { child } = await startShell('sleep 60 & echo $!; wait', 1);
  expect(child.killTree('SIGKILL').pids).not.toContain(other.pid);
  await once(child, 'exit');
  expect(isAlive(other.pid)).toBe(true);
  other.kill();
  await once(other, 'exit');
});

test('a child that has ended gives an empty result, an unknown signal the error of kill()', async () => {
  const child = spawn('true', { stdio: 'ignore' });
  await once(child, 'exit');
  expect(child.killTree()).toEqual({ signal: 'SIGTERM', pids: [], failed: [] });
  expect(() => child.killTree('SIGNONE')).toThrow(expect.objectContaining({ code: 'ERR_UNKNOWN_SIGNAL' }));
});
