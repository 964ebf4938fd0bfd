import http from 'node:http';
import { fileURLToPath } from 'node:url';

import { afterEach, describe, expect, test } from 'vitest';

import { MODULES, startScript } from '../helpers/run_script.mjs';
import { stopAll } from '../helpers/supervisor.mjs';
import { waitFor } from '../helpers/wait.mjs';
import { supervised } from './supervised.mjs';

const example = fileURLToPath(new URL('failing_example.cjs', import.meta.url));

afterEach(stopAll);

describe.each(Object.keys(MODULES))('the error handling example on %s', (module) => {
  test('goes on after a rejection; after an exception it answers what it has begun and is replaced', async () => {
    const script = startScript(example, { module });
    const ports = () => [...script.stdout.matchAll(/serves (\d+)/g)].map(([, port]) => port);
    const log = () => script.stdout + script.stderr;
    await waitFor(() => ports().length === 1, { what: log });
    const [port] = ports();

    const pid = await get(port, '/reject');
    await waitFor(() => script.stdout.includes('unhandled: rejected'), { what: log });
    const slow = get(port, '/slow');
    await waitFor(() => script.stdout.includes('asked'), { what: log });
    expect(await get(port, '/throw')).toBe(pid);
    expect(await slow).toBe(pid);
    await waitFor(() => ports().length === 2, { what: log });
    expect(script.stdout).toMatch(/uncaught: SyntaxError\ncleaned up\nworker ended with 1\n/);
    expect(await get(ports()[1], '/')).not.toBe(pid);

    process.kill(script.child.pid, 'SIGTERM');
    expect(await script.finished).toMatchObject({ signal: 'SIGTERM', stderr: '' });
  });
});

test('a supervisor has that done for a program that only names its clean-up', async () => {
  const { sup, get, printed } = await supervised({ backoff: { min: 10, max: 10 } });
  const exits = [];
  sup.on('worker:exit', (worker, exit) => exits.push(exit));
  const slow = get('/slow');
  await waitFor(() => printed() === 'asked\n');
  const { pid } = await get('/throw');
  expect((await slow).pid).toBe(pid);
  await waitFor(() => exits.length === 1);
  expect(exits[0]).toMatchObject({ pid, code: 1, reason: expect.stringContaining('SyntaxError') });
  await waitFor(() => printed().includes('cleaned up'));
  await waitFor(() => sup.isReady && sup.workers[0].pid !== pid);
  expect((await get('/')).pid).not.toBe(pid);
});

/** One request on a connection of its own. */
function get(port, path) {
  return new Promise((resolve, reject) => {
    const request = http.get({ port, host: '127.0.0.1', path, agent: false }, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (text) => (body += text));
      response.on('end', () => resolve(body));
    });
    request.on('error', reject);
  });
}
