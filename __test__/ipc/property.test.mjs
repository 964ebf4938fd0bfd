// Every pair of ends, in both roles, carries the same sequence. RCLUSTER_TORTURE multiplies the length.

import { describe, expect, test } from 'vitest';

import { fixture, runScript } from '../helpers/run_script.mjs';

const COUNT = 300 * Number(process.env.RCLUSTER_TORTURE ?? 1);
const timeout = 60_000 + COUNT * 200;
const kinds = ['stock', 'wire', 'ring'];

/** What both ends use in the end. */
function transportOf(parent, child) {
  if (parent === 'stock' || child === 'stock') return 'stock';
  return parent === 'ring' && child === 'ring' ? 'ring' : 'wire';
}

describe.each(['json', 'advanced'])('%s', (serialization) => {
  const pairs = kinds.flatMap((parent) => kinds.map((child) => [parent, child]));
  test.each(pairs)('a %s parent with a %s child', { timeout }, async (parent, child) => {
    // Stock Node with stock Node proves the test.
    const result = await runScript(fixture('ipc_property.cjs'), {
      module: parent === 'stock' ? 'node' : 'rcluster',
      args: [String(Date.now() % 1e6), String(COUNT), serialization, child, transportOf(parent, child)],
      env: { RCLUSTER_IPC: parent === 'wire' ? 'wire' : '' },
      timeout,
    });
    expect(result).toMatchObject({ code: 0, stdout: 'same\n', stderr: '' });
  });
});
