// What of its channel keeps a child alive: listeners, unless the program itself has chosen.

import { once } from 'node:events';

import { describe, expect, test } from 'vitest';

import { fixture } from '../helpers/run_script.mjs';
import { both } from '../parity/both.mjs';

const register = new URL('../../register.js', import.meta.url).pathname;

describe.each(both)('%s', (_, childProcess) => {
  describe.each([
    ['a stock child', []],
    ['a child with rcluster', ['--require', register]],
  ])('%s', (_, execArgv) => {
    test.concurrent.each([
      ['nothing', false],
      ['message listener', true],
      ['disconnect listener', true],
      ['listener removed', false],
      ['listener, unref()', false],
      ['unref(), listener', false],
      ['ref()', true],
      ['refCounted()', true],
      ['refCounted(), unrefCounted()', false],
      ['two listeners, one removed', true],
    ])('by %s a child stays: %j', async (way, stays) => {
      const child = childProcess.fork(fixture('ipc_alive_child.cjs'), [way], { execArgv });
      const [code] = await once(child, 'exit');
      expect(code).toBe(stays ? 7 : 0);
    });
  });
});
