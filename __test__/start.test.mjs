// What stands there before anything is loaded is what stands there afterwards, and it costs next to nothing.

import { expect, test } from 'vitest';

import { fixture, runScript } from './helpers/run_script.mjs';

const registered = { module: 'node', execArgv: ['--require', 'rcluster/register'] };

/** Runs start.cjs and reads what it has found. */
async function found(what, options = {}) {
  const { stdout, stderr, code } = await runScript(fixture('start.cjs'), {
    ...registered,
    ...options,
    args: [what],
  });
  expect({ stderr, code }).toEqual({ stderr: '', code: 0 });
  return JSON.parse(stdout);
}

test('the first call changes no property of what users hold', async () => {
  const { before, after } = await found('shape');
  expect(after).toEqual(before);
});

test("functions have the names, lengths and descriptors of Node's", async () => {
  const { before: ours } = await found('shape');
  const { before: node } = await found('shape', { execArgv: [] });
  expect(ours.childProcess).toEqual(node.childProcess);
  // Node has not given names to the functions of `cluster`, and has fewer.
  const withoutName = ({ name, ...rest }) => rest;
  for (const [key, shape] of Object.entries(node.cluster)) {
    expect({ key, ...withoutName(ours.cluster[key]) }).toEqual({ key, ...withoutName(shape) });
  }
});

test('every function of ours is there from the start', async () => {
  expect(await found('missing')).toEqual([]);
});

test('a program that starts no child has no engine, no thread and few modules of ours', async () => {
  const { threads, modules, isLoaded } = await found('cost');
  expect(threads).toBe((await found('cost', { execArgv: [] })).threads);
  const few = ['register.js', 'lib/loader.js', 'lib/platform.js', 'lib/start.js', 'lib/untampered.js'];
  expect(modules).toEqual(few.sort());
  expect(isLoaded).toBe(false);
});

test('nor does require("rcluster") start a thread', async () => {
  const { threads } = await found('threads', { execArgv: [], env: { LOAD: 'rcluster' } });
  expect(threads).toBe((await found('threads', { execArgv: [] })).threads);
});
