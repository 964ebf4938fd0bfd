// A worker starts with little of ours, and has the rest once it listens, once somebody asks, or after a while. Nobody
// can tell.

import { afterEach, describe, expect, test } from 'vitest';

import { endScripts, fixture, runScript } from '../helpers/run_script.mjs';

afterEach(endScripts);

/** What the worker of a fixture has seen that is started so. */
async function seen(script, options) {
  const { stdout, stderr, code } = await runScript(fixture(script), {
    module: 'node',
    execArgv: ['--require', 'rcluster/register'],
    ...options,
  });
  expect({ stderr, code }).toEqual({ stderr: '', code: 0 });
  return JSON.parse(stdout);
}

const touching = (what) => seen('cluster_newborn.cjs', { env: { TOUCH: what } });

const FEW = ['register.js', 'lib/cluster/newborn.js', 'lib/untampered.js', 'lib/cluster/policies.js'];

test('before it listens it has loaded next to nothing, and what guards it against a primary that dies', async () => {
  const { before, between, listening, after, served } = await touching('nothing');
  expect({ before, between }).toEqual({ before: FEW, between: FEW });
  expect(listening).toEqual([...FEW, expect.stringMatching(/\.node$/)]);
  expect(after).toBeGreaterThan(listening.length);
  expect(served).toBe('hello');
});

test.each([
  ['policies', 3],
  ['environment', []],
])('%s need no more', async (what, touched) => {
  const { between, touched: is, served } = await touching(what);
  expect({ between, is, served }).toEqual({ between: FEW, is: touched, served: 'hello' });
});

test.each([
  ['spawn', 0],
  ['fork', 0],
  ['exec', 0],
  ['execSync', 'text\n'],
  ['ChildProcess', 'function'],
  ['import', 0],
  ['ours', 0],
  ['set', 3],
  ['native', true],
  ['rcluster', true],
  ['coverage', 'object'],
  ['availableParallelism', true],
  ['listenFds', 0],
  ['request', 'answer to question'],
  ['workerRequest', 'answer to question'],
  ['onRequest', 'undefined'],
  ['transport', 'wire'],
  ['setLimits', 'undefined'],
  ['sendTo', 'function'],
  ['receipt', null],
  ['rights', null],
])('%s that a program uses before it listens has the rest loaded', async (what, touched) => {
  const { before, between, touched: is, served } = await touching(what);
  expect(before).toEqual(FEW);
  // `import` comes later than the listen.
  if (what !== 'import') expect(between.length).toBeGreaterThan(before.length);
  expect({ is, served }).toEqual({ is: touched, served: 'hello' });
});

describe.each(['--require', '--import', 'require()'])('by %s', (road) => {
  const options = {
    module: road === 'require()' ? 'rcluster' : 'node',
    execArgv: road === 'require()' ? [] : [road, 'rcluster/register'],
  };

  test.each([
    ['several servers at once', ['hello', 'hello', 'hello']],
    ['a server that is closed by who hears that it listens', ['refused', 'hello']],
    ['a server that listens again', ['hello', 'hello']],
    ['a server of the time after', ['hello']],
    ['a server that closes before it listens', ['hello']],
  ])('%s', async (what, answers) => {
    expect(await seen('cluster_newborn_servers.cjs', { ...options, args: [what] })).toEqual(answers);
  });
});

test('a worker that cannot load the engine does without, at the port of the others', async () => {
  const { stdout, stderr } = await runScript(fixture('cluster_newborn_engine.cjs'), {
    module: 'node',
    execArgv: ['--require', 'rcluster/register'],
  });
  expect(JSON.parse(stdout)).toEqual({
    listening: 2,
    ports: 1,
    answers: { 'worker 1 true': 4, 'worker 2 false': 4 },
  });
  expect(stderr).toMatch(/RCLUSTER_NO_BINDING.*addons is disabled/);
});
