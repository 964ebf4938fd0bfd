import { fileURLToPath } from 'node:url';
import { createRequire } from 'node:module';

import { afterEach, describe, expect, test } from 'vitest';

import { MODULES, runScript } from '../helpers/run_script.mjs';
import { stopAll } from '../helpers/supervisor.mjs';
import { waitFor } from '../helpers/wait.mjs';
import { supervised } from './supervised.mjs';

const cluster = createRequire(import.meta.url)('rcluster');
const example = fileURLToPath(new URL('broadcast_example.cjs', import.meta.url));

afterEach(stopAll);

describe.each(Object.keys(MODULES))('the broadcast example on %s', (module) => {
  test('tells all, and replaces who cannot be told', async () => {
    const { code, stdout, stderr } = await runScript(example, { module });
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const [error, counts] = stdout.trim().split('\n');
    expect(error).toBe('cannot send: ERR_IPC_CHANNEL_CLOSED');
    expect(JSON.parse(counts)).toEqual({ ready: 3, hello: 2, 'heard by the other': 1, again: 2 });
  });
});

test('broadcast() of a supervisor tells all that are there; who has gone is replaced without being told', async () => {
  const { sup } = await supervised({ instances: 2, backoff: { min: 10, max: 10 } });
  const heard = [];
  const hear = (worker, { echo }) => heard.push(`${worker.process.pid} ${echo}`);
  cluster.on('message', hear);
  const check = async (message) => {
    const pids = sup.workers.map(({ pid }) => pid);
    expect(sup.broadcast(message)).toBe(2);
    await waitFor(() => heard.length === 2);
    expect(heard.splice(0).sort()).toEqual(pids.map((pid) => `${pid} ${message}`).sort());
    return pids;
  };
  const [gone] = await check('hello');
  process.kill(gone, 'SIGKILL');
  await waitFor(() => sup.workers.every(({ pid, state }) => pid !== gone && state === 'ready'));
  await check('again');
  cluster.off('message', hear);
});
