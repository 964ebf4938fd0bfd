// Memory stays what it is, however many messages go. RCLUSTER_TORTURE multiplies them: 50 for ten million.

import { expect, test } from 'vitest';

import { fixture, runScript } from '../helpers/run_script.mjs';

const COUNT = 200_000 * Number(process.env.RCLUSTER_TORTURE ?? 1);
// What V8 and the allocator keep differs from run to run; a leak would be many bytes for each message, not one.
const LIMIT = 15 + COUNT / 1e6;
const timeout = 60_000 + COUNT / 5;

test.each(['json', 'advanced'])('neither side grows (%s)', { timeout }, async (serialization) => {
  const { code, stdout, stderr } = await runScript(fixture('ipc_steady.cjs'), {
    args: [String(COUNT), serialization],
    execArgv: ['--expose-gc'],
    timeout,
  });
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  const { transport, grown } = JSON.parse(stdout);
  expect(transport).toBe('ring');
  expect(Math.max(...grown)).toBeLessThan(LIMIT);
});
