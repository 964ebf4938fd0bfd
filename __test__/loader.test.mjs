// How our own modules are loaded: one of each, as by Node's `require`, in less time.

import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { afterAll, expect, test } from 'vitest';

import { runScript } from './helpers/run_script.mjs';

const root = fileURLToPath(new URL('../', import.meta.url));
const directory = mkdtempSync(join(tmpdir(), 'rcluster-loader-'));
const require = createRequire(join(directory, 'package.json'));
const { within } = require(`${root}lib/loader.js`);

afterAll(() => rmSync(directory, { recursive: true }));

function write(name, text) {
  mkdirSync(join(directory, name, '..'), { recursive: true });
  writeFileSync(join(directory, name), text);
  return join(directory, name);
}

/** The `require` of a module in the directory, by our loader. */
function load(request) {
  write('root.js', 'module.exports = { module, require };');
  const { module, require: nodes } = require('./root.js');
  return within(module, nodes)(request);
}

test('modules, folders, JSON and the modules around them are found as by require', () => {
  write(
    'a.js',
    'exports.folder = require("./folder"); exports.json = require("./data.json"); exports.fs = require("node:fs");',
  );
  write(
    'folder/index.js',
    'exports.up = require("../b"); exports.where = [__filename, __dirname, module.id];',
  );
  write('b.js', '#!/usr/bin/env node\n"use strict"; exports.that = this === exports; exports.value = 7;');
  write('data.json', '{"x":1}');
  const a = load('./a');
  expect(a.json).toEqual({ x: 1 });
  expect(a.fs).toBe(require('node:fs'));
  expect(a.folder.up).toEqual({ that: true, value: 7 });
  const folder = join(directory, 'folder');
  expect(a.folder.where).toEqual([join(folder, 'index.js'), folder, join(folder, 'index.js')]);
});

test('there is one of each module, whoever loads it first', () => {
  write('ours_first.js', 'exports.object = {};');
  write('nodes_first.js', 'exports.object = {};');
  expect(load('./ours_first').object).toBe(require('./ours_first.js').object);
  const { object } = require('./nodes_first.js');
  expect(load('./nodes_first').object).toBe(object);
  expect(require.cache[join(directory, 'ours_first.js')].loaded).toBe(true);
});

test('modules that need each other see what there is by then', () => {
  write('left.js', 'exports.early = 1; exports.seen = require("./right").seen; exports.late = 2;');
  write('right.js', 'exports.seen = { ...require("./left") };');
  expect(load('./left')).toEqual({ early: 1, seen: { early: 1 }, late: 2 });
});

test('a module that fails is tried again by the next one who wants it', () => {
  write('failing.js', 'throw new Error("once");');
  expect(() => load('./failing')).toThrow('once');
  write('failing.js', 'module.exports = "well";');
  expect(load('./failing')).toBe('well');
});

test('what is not there is an error that says so', () => {
  expect(() => load('./nothing')).toThrow(expect.objectContaining({ code: 'ENOENT' }));
});

test('errors name the file and the line', () => {
  const file = write('line.js', '\n\nexports.fail = () => { throw new Error("here"); };');
  expect(() => load('./line').fail()).toThrow(
    expect.objectContaining({ stack: expect.stringContaining(`${file}:3:`) }),
  );
});

test('in a host with modules of its own, its require is used', () => {
  const hosts = () => 'host';
  const host = { exports: {} };
  new Function('module', 'require', readFileSync(`${root}lib/loader.js`, 'utf8'))(
    host,
    createRequire(`${root}lib/loader.js`),
  );
  expect(host.exports.within({ path: directory }, hosts)).toBe(hosts);
  // Nor is one of theirs taken for one of Node's.
  expect(within({ exports: {} }, hosts)).toBe(hosts);
});

test('a program may replace what reads files', async () => {
  const script = write(
    'replaced.cjs',
    `require(${JSON.stringify(`${root}register.js`)});
     const fs = require('fs');
     fs.readFileSync = require('vm').compileFunction = () => { throw new Error('replaced'); };
     require('child_process').spawn('true').on('exit', (code) => console.log(code));`,
  );
  expect(await runScript(script, {})).toMatchObject({ stdout: '0\n', code: 0 });
});
