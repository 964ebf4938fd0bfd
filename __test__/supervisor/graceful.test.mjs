// How a worker ends: it finishes what it has begun, runs its hooks, and does not take for ever.

import { once } from 'node:events';
import http from 'node:http';

import { afterEach, expect, test } from 'vitest';

import { get as ask, pids, start, started, stopAll } from '../helpers/supervisor.mjs';
import { fixture, startScript } from '../helpers/run_script.mjs';
import { isAlive } from '../helpers/process_state.mjs';
import { sleep, waitFor } from '../helpers/wait.mjs';

afterEach(stopAll);

/** What the workers write, by lines. */
function output(sup) {
  const lines = [];
  sup.on('worker:stdio', (_, { stdout, stderr }) => {
    let text = '';
    stdout.setEncoding('utf8').on('data', (data) => {
      text += data;
      const parts = text.split('\n');
      text = parts.pop();
      lines.push(...parts);
    });
    stderr.resume();
  });
  return lines;
}

test('a stop finishes the requests that are under way, and runs the hooks in order', async () => {
  const { sup, get } = await start({ instances: 1, env: { HOOKS: '1' } });
  const lines = output(sup);
  await sup.started;
  const slow = get('/slow?ms=400');
  await sleep(100);
  const exit = once(sup, 'worker:exit');
  await sup.stop();
  expect((await slow).status).toBe(200);
  expect((await exit)[1]).toMatchObject({ code: 0, signal: null, wished: true });
  expect(lines).toEqual(['drain: stop', 'second hook', 'first hook']);
});

test('an idle connection does not hold up a stop, and no new ones are taken', async () => {
  const { sup, port, get } = await started({ instances: 1 });
  const agent = new http.Agent({ keepAlive: true });
  await get('/', { agent });
  const begun = performance.now();
  await sup.stop();
  expect(performance.now() - begun).toBeLessThan(3000);
  await expect(ask(port)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  agent.destroy();
});

test('a stop under kept connections that are never idle does not take long, and breaks off none', async () => {
  const { sup, port } = await started();
  const state = { isOver: false };
  const errors = [];
  let answered = 0;
  const clients = Array.from({ length: 8 }, async () => {
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    while (!state.isOver) {
      await ask(port, '/', { agent }).then(
        () => answered++,
        (error) => {
          errors.push(error);
          return sleep(20);
        },
      );
    }
    agent.destroy();
  });
  await waitFor(() => answered > 50);
  const begun = performance.now();
  await sup.stop();
  // Far from the deadline, which is 5 s here.
  expect(performance.now() - begun).toBeLessThan(3000);
  state.isOver = true;
  await Promise.all(clients);
  // Only new ones fail: the port is closed. One that nobody had accepted in that moment is reset by the kernel.
  expect(errors.filter(({ isReused }) => isReused)).toEqual([]);
  expect(errors.filter(({ code }) => !['ECONNREFUSED', 'ECONNRESET'].includes(code))).toEqual([]);
  expect(errors.some(({ code }) => code === 'ECONNREFUSED')).toBe(true);
});

test('readiness goes off first, and requests are served for a while', async () => {
  const { sup, get } = await started({ drainDelay: 400 });
  expect(sup.isReady).toBe(true);
  const unready = once(sup, 'unready');
  const stopped = sup.stop();
  await unready;
  expect(sup.isReady).toBe(false);
  await sleep(100);
  expect((await get('/')).status).toBe(200);
  await stopped;
});

test.each([
  ['/throw', 'thrown on purpose', 'uncaught exception'],
  ['/reject', 'rejected on purpose', 'unhandled rejection'],
])(
  'an error that nobody caught: what was begun is finished, exit code 1 (%s)',
  async (path, message, kind) => {
    const { sup, get } = await started({ instances: 1 });
    const [before] = pids(sup);
    const slow = get('/slow?ms=600');
    await sleep(100);
    const exit = once(sup, 'worker:exit');
    await get(path);
    await once(sup, 'worker:ready');
    // The new one serves while the old one still answers.
    expect((await get('/')).pid).not.toBe(before);
    expect((await slow).pid).toBe(before);
    const [, { code, reason, stderr }] = await exit;
    expect(code).toBe(1);
    expect(reason).toContain(`${kind}: Error: ${message}`);
    expect(stderr).toContain(message);
  },
);

test('a worker that gets SIGTERM itself ends in order and is replaced', async () => {
  const { sup, get } = await started({ instances: 1 });
  const [before] = pids(sup);
  const slow = get('/slow?ms=400');
  await sleep(100);
  process.kill(before, 'SIGTERM');
  await once(sup, 'worker:ready');
  expect((await slow).pid).toBe(before);
  expect(pids(sup)[0]).not.toBe(before);
});

test('the first Ctrl-C stops, the second one at once', async () => {
  const script = startScript(fixture('supervisor/primary.cjs'), { env: { STUBBORN: '1' } });
  await waitFor(() => script.stdout.includes('started'), { timeout: 10_000 });
  const worker = Number(/pid (\d+)/.exec(script.stdout)[1]);
  process.kill(script.child.pid, 'SIGINT');
  await waitFor(() => script.stdout.includes('stopping'));
  await sleep(200);
  expect(isAlive(worker)).toBe(true);
  process.kill(script.child.pid, 'SIGINT');
  const { code } = await script.finished;
  expect(code).toBe(130);
  await waitFor(() => !isAlive(worker));
});

test('SIGTERM ends the primary with code 0 once its workers have ended', async () => {
  const script = startScript(fixture('supervisor/primary.cjs'));
  await waitFor(() => script.stdout.includes('started'), { timeout: 10_000 });
  const worker = Number(/pid (\d+)/.exec(script.stdout)[1]);
  process.kill(script.child.pid, 'SIGTERM');
  expect(await script.finished).toMatchObject({ code: 0 });
  expect(isAlive(worker)).toBe(false);
});

test('workers do not outlive a primary that was killed, not even one that is stuck', async () => {
  const script = startScript(fixture('supervisor/primary.cjs'), { env: { SPIN: '1' } });
  await waitFor(() => script.stdout.includes('started'), { timeout: 10_000 });
  const workers = [...script.stdout.matchAll(/pid (\d+)/g)].map(([, pid]) => Number(pid));
  process.kill(script.child.pid, 'SIGKILL');
  await waitFor(() => workers.every((pid) => !isAlive(pid)), { timeout: 8000 });
  expect(workers).toHaveLength(2);
});

test('a process without a supervisor ends in order too', async () => {
  const script = startScript(fixture('supervisor/alone.cjs'));
  await waitFor(() => script.stdout.includes('port'), { timeout: 10_000 });
  const port = Number(/port (\d+)/.exec(script.stdout)[1]);
  const slow = ask(port, '/slow');
  await sleep(150);
  process.kill(script.child.pid, 'SIGTERM');
  expect((await slow).status).toBe(200);
  const { code, stdout } = await script.finished;
  expect(code).toBe(0);
  expect(stdout).toContain('cleaned up');
});
