// What stands there before anything is loaded is what stands there afterwards, and it costs next to nothing.

import { describe, expect, test } from 'vitest';

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
  const { threads, modules, isLoaded, nodes } = await found('cost');
  expect(threads).toBe((await found('cost', { execArgv: [] })).threads);
  const few = ['builtins', 'lazy', 'loader', 'platform', 'untampered'].map((name) => `lib/${name}.js`);
  expect(modules).toEqual([...few, 'register.js']);
  expect(isLoaded).toBe(false);
  expect(nodes).toEqual([]);
});

test('nor does require("rcluster") start a thread', async () => {
  const { threads } = await found('threads', { execArgv: [], env: { LOAD: 'rcluster' } });
  expect(threads).toBe((await found('threads', { execArgv: [] })).threads);
});

const roads = [
  'require',
  'require of cluster first',
  'import()',
  'import() of cluster first',
  'createRequire',
  'a wrapped loader',
  'a module of Node that needs it',
  ...(process.getBuiltinModule ? ['getBuiltinModule'] : []),
];
describe.each(['--require', '--import'])('under %s rcluster/register', (option) => {
  const execArgv = [option, 'rcluster/register'];

  test.each(roads)('what a program gets by %s is ours', async (road) => {
    const { stdout, stderr } = await runScript(fixture('roads.cjs'), {
      module: 'node',
      execArgv,
      args: [road],
    });
    const seen = { before: [], isOurs: true, isSame: true, isPrototypeBack: true };
    expect({ stderr, ...JSON.parse(stdout) }).toEqual({ stderr: '', ...seen });
  });

  test('and so it is by static imports', async () => {
    const { stdout, stderr } = await runScript(fixture('static_imports.mjs'), { module: 'node', execArgv });
    expect({ stderr, ...JSON.parse(stdout) }).toEqual({ stderr: '', isOurs: true, native: true });
  });
});

test('in a thread too', async () => {
  const { stdout } = await runScript(fixture('roads.cjs'), { ...registered, args: ['require', 'thread'] });
  expect(JSON.parse(stdout)).toMatchObject({ before: [], isOurs: true, isPrototypeBack: true });
});

test('where Node does not tell what it loads, it is loaded at once', async () => {
  const execArgv = ['--require', fixture('untold.cjs'), ...registered.execArgv];
  const { stdout, stderr } = await runScript(fixture('roads.cjs'), {
    ...registered,
    execArgv,
    args: ['require'],
  });
  const { before, ...seen } = JSON.parse(stdout);
  expect(before).not.toEqual([]);
  expect({ stderr, ...seen }).toMatchObject({ stderr: '', isOurs: true, isSame: true });
});

test('methods that a program replaces before it asks for child_process do not matter', async () => {
  const { stdout, stderr } = await runScript(fixture('roads.cjs'), {
    ...registered,
    args: ['replaced methods'],
  });
  expect({ stderr, ...JSON.parse(stdout) }).toMatchObject({ stderr: '', isOurs: true });
});

test.each([
  '--no-deprecation',
  '--throw-deprecation',
  '--pending-deprecation',
  '--disable-proto=throw',
  '--disable-proto=delete',
  '--disallow-code-generation-from-strings',
  '--preserve-symlinks',
  '--enable-source-maps',
])('under node %s too', async (flag) => {
  const { stdout, stderr } = await runScript(fixture('roads.cjs'), {
    ...registered,
    execArgv: [flag, ...registered.execArgv],
    args: ['require'],
  });
  expect({ stderr, ...JSON.parse(stdout) }).toMatchObject({ stderr: '', isOurs: true });
});
