import { readFileSync } from 'node:fs';

import { afterEach, expect, test } from 'vitest';

import { endScripts, fixture, startScript } from '../helpers/run_script.mjs';
import { sleep, waitFor } from '../helpers/wait.mjs';

afterEach(endScripts);

/** Starts a primary with one worker, ends it by a signal or its own exit, and returns the worker's pid. */
async function orphan(how, end, kind = 'plain') {
  const script = startScript(fixture('cluster_orphan.cjs'), { args: [how, kind] });
  const pid = Number(await waitFor(() => script.stdout.match(/ready (\d+)/)?.[1]));
  end(script.child);
  return { script, pid };
}

const kill = (child) => child.kill('SIGKILL');

test('a worker whose event loop is blocked does not outlive a primary that is killed', async () => {
  const { pid } = await orphan('blocked', kill);
  await waitFor(() => !isAlive(pid), { timeout: 6000 });
});

test('nor does one that has been blocked since its program ran', async () => {
  const { pid } = await orphan('tick', kill, 'registered');
  await waitFor(() => !isAlive(pid), { timeout: 6000 });
});

test.each([
  ['of a primary in a worker thread', 'thread'],
  ['that never loads rcluster and is to die with its primary', 'stock'],
])('nor does one %s', async (_, kind) => {
  const { pid } = await orphan('blocked', kill, kind);
  await waitFor(() => !isAlive(pid), { timeout: 6000 });
});

test('a worker whose event loop is blocked outlives the thread that forked it, but not the process', async () => {
  const { script, pid } = await orphan('blocked', () => {}, 'ending');
  await waitFor(() => script.stdout.includes('thread ended'));
  await sleep(2500);
  expect(isAlive(pid)).toBe(true);
  kill(script.child);
  await waitFor(() => !isAlive(pid), { timeout: 6000 });
});

test('a worker ends in order when its primary is killed', async () => {
  const { script, pid } = await orphan('idle', kill);
  await waitFor(() => !isAlive(pid));
  await waitFor(() => script.stdout.includes('worker exit handler'));
});

test('a worker that was told to disconnect may outlive its primary', async () => {
  const { script, pid } = await orphan('draining', kill);
  await waitFor(() => script.stdout.includes('drained'), { timeout: 8000 });
  await waitFor(() => !isAlive(pid));
});

function isAlive(pid) {
  try {
    return !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'latin1'));
  } catch {
    return false;
  }
}
