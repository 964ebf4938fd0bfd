// Each trap in traps.md names a test that is there.

import { readFileSync } from 'node:fs';

import { expect, test } from 'vitest';

const read = (name) => readFileSync(new URL(name, import.meta.url), 'utf8');

test.each(['cluster', 'ipc'])('the tests that %s/traps.md names are there', (folder) => {
  const named = [...read(`${folder}/traps.md`).matchAll(/\| `(\w+)`: (.+?) +\|$/gm)];
  expect(named.length).toBeGreaterThan(15);
  const missing = named.filter(([, file, title]) => !read(`${folder}/${file}.test.mjs`).includes(title));
  expect(missing.map(([, file, title]) => `${file}: ${title}`)).toEqual([]);
});
