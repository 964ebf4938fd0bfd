import { spawnSync } from 'node:child_process';

import { expect, test } from 'vitest';

/** What a program says that loads the pool where the engine does not run. */
function load(code, type) {
  const env = { ...process.env, RCLUSTER_DISABLE_NATIVE: '1' };
  const options = { cwd: new URL('../..', import.meta.url), env, encoding: 'utf8' };
  return spawnSync(process.execPath, [`--input-type=${type}`, '-e', code], /** @type {any} */ (options));
}

// Node has no pool that could serve in its place.
const message =
  "rcluster/pool needs rcluster's native engine, which does not run here: RCLUSTER_DISABLE_NATIVE is set";

test('require() throws an error that says what is missing and why', () => {
  const code = `try { require('rcluster/pool') } catch ({ code, message }) { console.log(code, message) }`;
  const { stdout, stderr } = load(code, 'commonjs');
  expect([stdout, stderr]).toEqual([`ERR_RCLUSTER_UNSUPPORTED ${message}\n`, '']);
});

test('import() rejects with the same', () => {
  const code = `await import('rcluster/pool').catch(({ code, message }) => console.log(code, message))`;
  expect(load(code, 'module').stdout).toBe(`ERR_RCLUSTER_UNSUPPORTED ${message}\n`);
});

test('the rest of the package loads', () => {
  const code = `console.log(typeof require('rcluster').fork, require('rcluster').native)`;
  expect(load(code, 'commonjs').stdout).toBe('function false\n');
});
