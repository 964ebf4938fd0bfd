// Each trap in traps.md names a test that is there.

import { readFileSync } from 'node:fs';

import { expect, test } from 'vitest';

const read = (name) => readFileSync(new URL(name, import.meta.url), 'utf8');

test('the tests that traps.md names are there', () => {
  const named = [...read('traps.md').matchAll(/\| `(\w+)`: (.+?) +\|$/gm)];
  expect(named.length).toBeGreaterThan(15);
  const missing = named.filter(([, file, title]) => !read(`${file}.test.mjs`).includes(title));
  expect(missing.map(([, file, title]) => `${file}: ${title}`)).toEqual([]);
});
