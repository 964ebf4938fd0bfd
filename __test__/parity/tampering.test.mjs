// A program that has changed what all objects inherit gets children all the same, as in Node.

import { describe, expect, test } from 'vitest';

import { fixture, runScript } from '../helpers/run_script.mjs';

const registered = { module: 'node', execArgv: ['--require', 'rcluster/register'] };

describe.each([
  ['node', { module: 'node' }],
  ['rcluster', { module: 'rcluster' }],
  // Here all but a few functions are loaded after what everything inherits has been changed.
  ['registered', registered],
  ['node in a worker', { module: 'node', script: 'tampering_worker.cjs' }],
  ['registered in a worker', { ...registered, script: 'tampering_worker.cjs' }],
])('%s', (_, { script = 'tampering.cjs', ...options }) => {
  test.each([
    ['options', 'Object.prototype has properties named as options'],
    ['descriptors', 'Object.prototype has properties named as those of descriptors'],
    ['enumerable', 'Object.prototype and Array.prototype have enumerable functions'],
    ['array', 'the methods of arrays throw'],
    ['string', 'the methods of strings throw'],
    ['collections', 'the methods of maps and sets throw'],
    ['object', 'the static methods of objects throw'],
    ['emit', 'every emit is wrapped'],
  ])('%s: %s', async (what) => {
    const { stdout, stderr, code } = await runScript(fixture(script), { ...options, args: [what] });
    expect({ stdout, stderr, code }).toEqual({
      stdout: [
        'spawn 3 null out',
        'failed ENOENT -2',
        'killed null SIGTERM',
        'exec null out',
        'fork {"hello":"world"} 0',
        'spawnSync 0 out',
        'done',
        '',
      ].join('\n'),
      stderr: '',
      code: 0,
    });
  });
});
