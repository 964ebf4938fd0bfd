// In 'advanced' mode large buffers go beside their message, between two rcluster ends: what arrives is what Node delivers.

import { expect, test } from 'vitest';

import { fixture, runScript } from '../helpers/run_script.mjs';

async function outcomes(module) {
  const { code, stdout, stderr } = await runScript(fixture('ipc_beside.cjs'), { module, timeout: 30_000 });
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  return stdout.trim().split('\n');
}

test('large buffers arrive as from Node, and what is around them', async () => {
  const [node, ours] = await Promise.all([outcomes('node'), outcomes('rcluster')]);
  expect(node.pop()).toBe('stock');
  expect(ours.pop()).toBe('ring');
  expect(ours).toEqual(node);
  expect(node.length).toBeGreaterThan(400);
});
