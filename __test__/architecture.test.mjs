// What ARCHITECTURE.md says of who imports whom, and of what may stand where.

import { readFileSync, readdirSync } from 'node:fs';
import { dirname, join, normalize, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

import { expect, test } from 'vitest';

const root = fileURLToPath(new URL('..', import.meta.url));

/** What each part may import, beside itself. Files directly in `lib/` are `lib`; those above it nobody may. */
const JS = {
  lib: [],
  child_process: ['lib'],
  cluster: ['lib', 'child_process'],
  pool: ['lib', 'child_process'],
  supervisor: ['lib', 'child_process', 'cluster'],
  cli: ['lib', 'cluster', 'supervisor'],
};
const RUST = {
  error: [],
  sys: ['error'],
  process: ['error', 'sys'],
  ipc: ['error', 'sys'],
  cluster: ['error', 'sys'],
  pool: ['error', 'sys'],
  logs: ['error', 'sys'],
  host: ['error', 'sys'],
  supervise: ['error', 'sys', 'process', 'cluster'],
};
const LONGEST = 500;

/** The files of a folder with these endings, by their path from the root. */
function filesIn(folder, ending) {
  return readdirSync(join(root, folder), { recursive: true })
    .filter((file) => ending.test(file))
    .map((file) => [join(folder, file), readFileSync(join(root, folder, file), 'utf8')]);
}

const rust = filesIn('src', /\.rs$/);
/** The part of `src` that a file belongs to. */
const partOf = (file) => file.split('/')[1].replace(/\.rs$/, '');

test('JavaScript imports point one way', () => {
  const wrong = [];
  for (const [file, text] of filesIn('lib', /\.js$/)) {
    const from = file.split('/').length > 2 ? file.split('/')[1] : 'lib';
    for (const [, request] of text.matchAll(/\brequire\('(\.[^']+)'\)/g)) {
      const to = relative('lib', normalize(join(dirname(file), request)));
      const [first] = to.split('/');
      const part = first in JS || first === '..' ? first : 'lib';
      const isData = to === '../package.json';
      if (part !== from && !JS[from].includes(part) && !isData) wrong.push(`${file}: ${request}`);
    }
  }
  expect(wrong).toEqual([]);
});

test('Rust imports point one way', () => {
  const wrong = [];
  for (const [file, text] of rust) {
    const from = partOf(file);
    for (const [, to] of text.matchAll(/\bcrate::(\w+)/g)) {
      if (to !== from && to in RUST && RUST[from]?.includes(to) === false) wrong.push(`${file}: ${to}`);
      if (to === 'binding' && from !== 'binding') wrong.push(`${file}: ${to}`);
    }
  }
  expect(wrong).toEqual([]);
});

test('napi is named in src/binding only', () => {
  const naming = rust
    .filter(([, text]) => /\bnapi(_derive)?::|#\[napi/.test(text))
    .map(([file]) => partOf(file));
  expect(new Set(naming)).toEqual(new Set(['binding']));
});

test('unsafe is in src/sys only, but for what a call lends', () => {
  const lines = rust
    .filter(([file]) => partOf(file) !== 'sys')
    .flatMap(([file, text]) => text.split('\n').map((line) => [file, line.replace(/\/\/.*/, '').trim()]))
    .filter(([, line]) => /\bunsafe\b/.test(line));
  for (const [file, line] of lines) {
    expect(file).toBe('src/binding/process.rs');
    expect(line).toMatch(/^let \w+ = unsafe \{ \w+\.as_mut\(\) \};$/);
  }
});

test('no file is longer than 500 lines', () => {
  const hand = /\.([cm]?js|[cm]?ts|rs)$/;
  const folders = ['src', 'lib', 'bin', 'scripts', 'benchmark', 'examples', 'fuzz/src', '__test__'];
  const long = folders
    .flatMap((folder) => filesIn(folder, hand))
    .filter(([, text]) => text.split('\n').length > LONGEST + 1)
    .map(([file]) => file);
  expect(long).toEqual([]);
});
