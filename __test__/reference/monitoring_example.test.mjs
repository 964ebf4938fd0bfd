import { fileURLToPath } from 'node:url';

import { afterEach, describe, expect, test } from 'vitest';

import { MODULES, runScript } from '../helpers/run_script.mjs';
import { stopAll } from '../helpers/supervisor.mjs';
import { waitFor } from '../helpers/wait.mjs';
import { supervised } from './supervised.mjs';

const example = fileURLToPath(new URL('monitoring_example.cjs', import.meta.url));

afterEach(stopAll);

describe.each(Object.keys(MODULES))('the monitoring example on %s', (module) => {
  test('has what its child uses, again and again', async () => {
    const { code, stdout, stderr } = await runScript(example, { module });
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const all = JSON.parse(stdout);
    expect(all).toHaveLength(3);
    for (const metrics of all) {
      expect(metrics.isChild).toBe(true);
      expect(metrics.memory.rss).toBeGreaterThan(metrics.memory.heapUsed);
    }
    expect(all[2].uptime).toBeGreaterThan(all[0].uptime);
    expect(all[2].cpu.user + all[2].cpu.system).toBeGreaterThan(all[0].cpu.user + all[0].cpu.system);
  });
});

test('metrics() of a supervisor tells it of every worker, which has nothing in it for that', async () => {
  const { sup } = await supervised();
  // Workers tell once a second, and at their start.
  const worker = await waitFor(() => sup.metrics().workers.find(({ heap }) => heap.used > 0));
  expect(worker.pid).toBe(sup.workers[0].pid);
  expect(worker.rss).toBeGreaterThan(worker.heap.used);
  expect(worker.heap.total).toBeGreaterThan(0);
  expect(worker.cpu.user).toBeGreaterThan(0);
  expect(worker.uptime).toBeGreaterThan(0);
});
