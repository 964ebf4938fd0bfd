import { fileURLToPath } from 'node:url';

import { afterEach, describe, expect, test } from 'vitest';

import { MODULES, runScript } from '../helpers/run_script.mjs';
import { stopAll } from '../helpers/supervisor.mjs';
import { waitFor } from '../helpers/wait.mjs';
import { supervised } from './supervised.mjs';

const example = fileURLToPath(new URL('memory_example.cjs', import.meta.url));

afterEach(stopAll);

describe.each(Object.keys(MODULES))('the memory example on %s', (module) => {
  test('collects garbage', async () => {
    expect(await runScript(example, { module })).toEqual({
      code: 0,
      signal: null,
      stdout: 'collected\nchild exited 0\n',
      stderr: '',
    });
  });
});

test('with maxOldSpaceMb and recycle.heap a worker that uses too much is replaced', async () => {
  // So little that its start is too much already.
  const { sup } = await supervised({ maxOldSpaceMb: 200, recycle: { heap: '1mb' } });
  const recycled = [];
  sup.on('recycle', (worker, why) => recycled.push(why));
  const { heap } = await waitFor(() => sup.metrics().workers.find(({ heap }) => heap.limit > 0));
  expect(heap.limit).toBeGreaterThanOrEqual(200 * 2 ** 20);
  expect(heap.limit).toBeLessThan(400 * 2 ** 20);
  await waitFor(() => recycled.length > 0);
  expect(recycled[0]).toMatchObject({ reason: 'heap', limit: 2 ** 20 });
});
