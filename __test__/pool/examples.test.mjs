import { execFile } from 'node:child_process';
import path from 'node:path';
import { promisify } from 'node:util';

import { expect, test } from 'vitest';

import { projectOf } from '../helpers/project.mjs';

const run = promisify(execFile);

/** Runs an example as its README says, in a copy with its dependencies. */
async function outputOf(example, program, args, packages) {
  const folder = projectOf(path.join('examples/pool', example), ['rcluster', ...packages]);
  const { stdout, stderr } = await run(process.execPath, [program, ...args], {
    cwd: folder,
    timeout: 30_000,
  });
  expect(stderr).toBe('');
  return stdout;
}

test('the build step', { timeout: 40_000 }, async () => {
  const output = await outputOf('build', 'build.mjs', [], []);
  expect(output).toMatch(/^worker\.mjs +\d+ → \d+ bytes, [0-9a-f]{12}$/m);
  expect(output).toMatch(/^2 files in \d+ ms$/m);
});

test('image resizing', { timeout: 40_000 }, async () => {
  const output = await outputOf('images', 'resize.mjs', ['3'], ['pngjs']);
  expect(output.match(/^\d: \d+ bytes → 128x128, \d+ bytes$/gm)).toHaveLength(3);
});

test('Monte Carlo', { timeout: 40_000 }, async () => {
  const output = await outputOf('monte_carlo', 'pi.mjs', ['8000000'], []);
  expect(output).toMatch(/█{40} 100 %, pi is about 3\.14/);
});
