// The config file.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { afterEach, expect, test } from 'vitest';

import { APP, directoryWith, endCommands, run, startApp } from '../helpers/command.mjs';

afterEach(endCommands);

const SHOWING = `
require('node:http').createServer((request, response) => {
  response.end(JSON.stringify({ word: process.env.WORD, args: process.argv.slice(2), cwd: process.cwd() }));
}).listen(Number(process.env.PORT));`;

test.each([
  [
    'rcluster.config.json',
    JSON.stringify({ exec: 'src/app.js', workers: 2, env: { WORD: 'x' }, args: ['a'] }),
  ],
  [
    'rcluster.config.js',
    `module.exports = { exec: 'src/app.js', workers: 2, env: { WORD: 'x' }, args: ['a'] }`,
  ],
  [
    'rcluster.config.mjs',
    `export default { exec: 'src/app.js', workers: 2, env: { WORD: 'x' }, args: ['a'] }`,
  ],
])('%s is found and says it all', async (name, text) => {
  const app = await startApp([], { files: { 'src/app.js': SHOWING, [name]: text }, script: '' });
  expect(JSON.parse(await app.get())).toMatchObject({ word: 'x', args: ['a'] });
  const status = await app.status();
  expect(status.workers).toHaveLength(2);
  expect(status.config).toBe(join(app.cwd, name));
});

test('the command line goes before it', async () => {
  const config = JSON.stringify({ exec: 'none.js', instances: 3, name: 'from the file' });
  const files = { 'app.js': SHOWING, 'rcluster.config.json': config };
  const app = await startApp(['-w', '1'], { files, appArgs: ['b'] });
  expect(JSON.parse(await app.get())).toMatchObject({ args: ['b'] });
  expect(await app.status()).toMatchObject({ instances: 1, name: 'from the file' });
});

test('paths in it begin where it is', async () => {
  const config = JSON.stringify({ exec: '../app.js', cwd: '..', envFile: 'word.env', instances: 1 });
  const files = {
    'app.js': SHOWING,
    'etc/rcluster.config.json': config,
    'etc/word.env': 'WORD="from a file"',
  };
  const app = await startApp(['--config', 'etc/rcluster.config.json'], { files, script: '' });
  expect(JSON.parse(await app.get())).toMatchObject({ word: 'from a file', cwd: app.cwd });
});

test('a reload reads it again', async () => {
  const config = (word, workers) =>
    `module.exports = { exec: 'app.js', workers: ${workers}, env: { WORD: '${word}' } }`;
  const files = { 'app.js': SHOWING, 'rcluster.config.js': config('one', 1) };
  const app = await startApp([], { files, script: '' });
  expect(JSON.parse(await app.get())).toMatchObject({ word: 'one' });
  writeFileSync(join(app.cwd, 'rcluster.config.js'), config('two', 2));
  expect(await app.steer('reload')).toMatchObject({ code: 0 });
  expect(JSON.parse(await app.get())).toMatchObject({ word: 'two' });
  expect((await app.status()).workers).toHaveLength(2);

  writeFileSync(join(app.cwd, 'rcluster.config.js'), 'module.exports = { exce: 1 }');
  const failed = await app.steer('reload');
  expect(failed.code).toBe(1);
  expect(failed.stderr).toBe(
    'rcluster: rcluster.config.js: there is no option "exce"; did you mean "exec"?\n',
  );
  expect(JSON.parse(await app.get())).toMatchObject({ word: 'two' });
});

test('--check starts nothing, and tells what is wrong or that all is right', async () => {
  const cwd = directoryWith({ 'app.js': APP, 'rcluster.config.json': '{"exec": "app.js", "workers": 2}' });
  expect(await run(['--check'], { cwd })).toEqual({
    code: 0,
    signal: null,
    stdout: 'rcluster.config.json: all right\n',
    stderr: '',
  });
  const { stdout } = await run(['--check', '--json'], { cwd });
  expect(JSON.parse(stdout)).toMatchObject({ ok: true, options: { instances: 2 } });
});
