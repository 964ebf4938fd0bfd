// A worker starts with little of ours, and has the rest once it listens, once somebody asks, or after a while. Nobody
// can tell.

import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

import { afterEach, describe, expect, onTestFinished, test } from 'vitest';

import policiesModule from '../../lib/cluster/policies.js';
import { endScripts, fixture, runScript } from '../helpers/run_script.mjs';

const { policies } = policiesModule;

afterEach(endScripts);

/** What the worker of a fixture has seen that is started so. */
async function seen(script, options) {
  const { stdout, stderr, code } = await runScript(resolve(fixture(''), script), {
    module: 'node',
    execArgv: ['--require', 'rcluster/register'],
    ...options,
  });
  expect({ stderr, code }).toEqual({ stderr: '', code: 0 });
  return JSON.parse(stdout);
}

const touching = (what) => seen('cluster_newborn.cjs', { env: { TOUCH: what } });

const FEW = ['register.js', 'lib/cluster/newborn.js'];

test('before it listens it has loaded next to nothing', async () => {
  const { before, between, listening, after, served } = await touching('nothing');
  expect({ before, between }).toEqual({ before: FEW, between: FEW });
  // On a slow machine there was time for what guards it against a primary that dies.
  expect(listening.filter((file) => !file.endsWith('.node'))).toEqual(FEW);
  expect(after).toBeGreaterThan(listening.length);
  expect(served).toBe('hello');
});

test.each(['127.0.0.1', 'localhost'])(
  'nor where it listens at %s, which is looked up first',
  async (host) => {
    // On a slow machine there is time for the addon.
    for (let attempt = 1; ; attempt++) {
      const { listening, served } = await seen('cluster_newborn.cjs', {
        env: { TOUCH: 'nothing', HOST: host },
      });
      expect(served).toBe('hello');
      if (listening.length === FEW.length) return;
      expect(attempt).toBeLessThan(10);
    }
  },
);

test.each([
  ['policies', policies],
  ['environment', 'none'],
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

test('who hears that a worker listens finds it in the rotation', async () => {
  const rounds = await seen('cluster_newborn_turn.cjs');
  expect(rounds).toEqual([1, 2, 3].map(() => [3, 3, 3]));
});

test('packages behind symbolic links find what they depend on', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'rcluster-newborn-'));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  const store = join(directory, 'store', 'node_modules');
  for (const name of ['linked', 'needed']) mkdirSync(join(store, name), { recursive: true });
  writeFileSync(join(store, 'linked', 'index.js'), "module.exports = require('needed');");
  writeFileSync(join(store, 'needed', 'index.js'), "module.exports = 'found';");
  mkdirSync(join(directory, 'app', 'node_modules'), { recursive: true });
  symlinkSync(join(store, 'linked'), join(directory, 'app', 'node_modules', 'linked'));
  const main = join(directory, 'app', 'main.cjs');
  writeFileSync(
    main,
    `const cluster = require('node:cluster');
     if (cluster.isWorker) process.send(require('linked'));
     else cluster.fork().on('message', (text) => (console.log(JSON.stringify(text)), cluster.disconnect()));`,
  );
  expect(await seen(main, { execArgv: ['--require', fixture('../../register.js')] })).toBe('found');
});

test('a worker that cannot load the engine does without, at the port of the others', async () => {
  const { stdout, stderr } = await runScript(fixture('cluster_newborn_engine.cjs'), {
    module: 'node',
    execArgv: ['--require', 'rcluster/register'],
  });
  const { listening, ports, answers } = JSON.parse(stdout);
  expect({ listening, ports }).toEqual({ listening: 2, ports: 1 });
  // Whose turn it is when the second turns out to be without it may be either's.
  for (const worker of ['worker 1 true', 'worker 2 false']) expect([3, 4, 5]).toContain(answers[worker]);
  expect(stderr).toMatch(/RCLUSTER_NO_BINDING.*addons is disabled/);
});
