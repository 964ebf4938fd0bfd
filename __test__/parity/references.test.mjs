// What keeps the parent alive: child, channel and streams, each with a reference of its own.

import { describe, expect, test } from 'vitest';

import { fixture, runScript } from '../helpers/run_script.mjs';

describe.each(['node', 'rcluster'])('%s', (module) => {
  // Which of them are let go, and whether the parent then ends before its child does.
  test.each([
    ['nothing', false],
    ['child', true],
    ['child+ref', false],
    ['forked child', false],
    ['forked channel', false],
    ['forked child+channel', true],
    ['forked child+channel+listener', true],
    ['piped child', false],
    ['piped child+streams', true],
    ['failed child', true],
    ['early child', true],
  ])('with unref of %s, the parent ends first: %j', async (what, endsFirst) => {
    const { stdout, stderr, code } = await runScript(fixture('references.cjs'), { module, args: [what] });
    expect({ stdout, stderr, code }).toEqual({
      stdout: endsFirst ? 'parent left\n' : 'parent stayed\n',
      stderr: '',
      code: 0,
    });
  });
});
