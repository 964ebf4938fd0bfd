import http from 'node:http';
import { fileURLToPath } from 'node:url';

import { afterEach, describe, expect, test } from 'vitest';

import { MODULES, startScript } from '../helpers/run_script.mjs';
import { stopAll } from '../helpers/supervisor.mjs';
import { waitFor } from '../helpers/wait.mjs';
import { supervised } from './supervised.mjs';

const example = fileURLToPath(new URL('exit_example.cjs', import.meta.url));

afterEach(stopAll);

describe.each(Object.keys(MODULES))('the graceful exit example on %s', (module) => {
  test('answers what it has begun, cleans up and ends well', async () => {
    const script = startScript(example, { module });
    const port = () => /serves (\d+)/.exec(script.stdout)?.[1];
    await waitFor(port, { what: () => script.stderr });
    const answer = new Promise((resolve, reject) => {
      http
        .get({ port: port(), host: '127.0.0.1', agent: false }, (response) => {
          response.setEncoding('utf8').on('data', resolve);
        })
        .on('error', reject);
    });
    await waitFor(() => script.stdout.includes('asked'));
    process.kill(script.child.pid, 'SIGTERM');
    expect(await answer).toBe('answered');
    const { code, stdout, stderr } = await script.finished;
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const lines = [
      'asked',
      'exit begins',
      'no more connections',
      'database closed',
      'worker ended with 0 null',
    ];
    expect(stdout.trim().split('\n').slice(1)).toEqual(lines);
  });
});

test('stop() of a supervisor has that done', async () => {
  const { sup, get, printed } = await supervised();
  const exits = [];
  sup.on('worker:exit', (worker, exit) => exits.push(exit));
  const slow = get('/slow');
  await waitFor(() => printed() === 'asked\n');
  const stopped = sup.stop();
  expect((await slow).status).toBe(200);
  await stopped;
  expect(printed()).toBe('asked\ncleaned up\n');
  expect(exits).toMatchObject([{ code: 0, signal: null, wished: true }]);
});
