import http from 'node:http';
import { fileURLToPath } from 'node:url';

import { describe, expect, test } from 'vitest';

import { isAlive } from '../helpers/process_state.mjs';
import { MODULES, startScript } from '../helpers/run_script.mjs';
import { waitFor } from '../helpers/wait.mjs';

const example = fileURLToPath(new URL('cluster_example.cjs', import.meta.url));

describe.each(Object.keys(MODULES))('the cluster example on %s', (module) => {
  test('serves from every worker, replaces one that is killed and ends with its primary', async () => {
    const script = startScript(example, { module });
    const started = () => [...script.stdout.matchAll(/worker (\d+) started on (\d+)/g)];
    const log = () => script.stdout + script.stderr;

    await waitFor(() => started().length === 2, { what: log });
    const ports = new Set(started().map(([, , port]) => port));
    expect(ports.size, 'all workers share one port').toBe(1);
    const [port] = ports;
    const pids = started().map(([, pid]) => Number(pid));

    const answered = new Set();
    for (let i = 0; i < 20; i++) answered.add(await get(port));
    expect(answered).toEqual(new Set(pids.map((pid) => `hello from ${pid}\n`)));

    process.kill(pids[0], 'SIGKILL');
    await waitFor(() => started().length === 3, { what: log });
    expect(script.stdout).toContain(`worker ${pids[0]} exited null SIGKILL`);
    const replacement = Number(started()[2][1]);
    const after = new Set();
    for (let i = 0; i < 20; i++) after.add(await get(port));
    expect(after).toEqual(new Set([pids[1], replacement].map((pid) => `hello from ${pid}\n`)));

    process.kill(script.child.pid, 'SIGTERM');
    expect(await script.finished).toMatchObject({ signal: 'SIGTERM', stderr: '' });
    await waitFor(() => ![pids[1], replacement].some(isAlive), { what: 'workers end with their primary' });
  });
});

/** One request on a connection of its own. */
function get(port) {
  return new Promise((resolve, reject) => {
    const request = http.get({ port, host: '127.0.0.1', agent: false }, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (text) => (body += text));
      response.on('end', () => resolve(body));
    });
    request.on('error', reject);
  });
}
