// What spawn and execFile hand to ChildProcess.prototype.spawn, which people patch: also what has no effect here.

import { once } from 'node:events';

import { afterEach, describe, expect, test, vi } from 'vitest';

import { both } from './both.mjs';

afterEach(() => vi.restoreAllMocks());

describe.each(both)('%s', (name, { ChildProcess, execFile, spawn, spawnSync }) => {
  test.each([
    [{ windowsHide: true }, { windowsHide: true, windowsVerbatimArguments: false }],
    [{ windowsVerbatimArguments: true }, { windowsHide: false, windowsVerbatimArguments: true }],
    [
      {},
      { windowsHide: false, windowsVerbatimArguments: false, detached: false, file: 'true', args: ['true'] },
    ],
    [{ shell: true }, { file: '/bin/sh', args: ['/bin/sh', '-c', 'true'], shell: true }],
  ])('%j', async (options, passed) => {
    const spy = vi.spyOn(ChildProcess.prototype, 'spawn');
    await once(spawn('true', options), 'close');
    await new Promise((resolve) => execFile('true', options, resolve));
    expect(spy.mock.calls.length).toBe(2);
    for (const [given] of spy.mock.calls) expect(given).toMatchObject(passed);
    expect(spawnSync('true', options).status).toBe(0);
  });
});
