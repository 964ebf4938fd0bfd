// Each example does what its own test says, in a copy as a user would have it.

import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { afterAll, describe, expect, test } from 'vitest';

import { runScript } from './helpers/run_script.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const scratch = mkdtempSync(join(tmpdir(), 'rcluster-examples-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

const names = readdirSync(join(root, 'examples')).filter((name) =>
  existsSync(join(root, 'examples', name, 'try.mjs')),
);

describe.each(names)('%s', (name) => {
  test.runIf(process.platform === 'linux')('does what it says', async () => {
    const directory = join(scratch, name);
    cpSync(join(root, 'examples', name), directory, { recursive: true });
    const { dependencies } = JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8'));
    mkdirSync(join(directory, 'node_modules'));
    for (const dependency of Object.keys(dependencies)) {
      const installed = dependency === 'rcluster' ? root : join(root, 'node_modules', dependency);
      symlinkSync(installed, join(directory, 'node_modules', dependency));
    }
    const { code, stderr } = await runScript(join(directory, 'try.mjs'), { cwd: directory });
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  });

  test('has a README of a title and a few lines, and a package.json that starts and tests it', () => {
    const readme = readFileSync(join(root, 'examples', name, 'README.md'), 'utf8')
      .trim()
      .split('\n');
    expect(readme[0]).toMatch(/^# /);
    expect(readme.length).toBeLessThanOrEqual(5);
    const { scripts, private: isPrivate } = JSON.parse(
      readFileSync(join(root, 'examples', name, 'package.json'), 'utf8'),
    );
    expect(isPrivate).toBe(true);
    expect(Object.keys(scripts)).toEqual(['start', 'test']);
  });
});
