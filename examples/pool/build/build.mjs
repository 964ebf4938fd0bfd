// A build step: minifies and hashes the files of a folder in threads, as a bundler's plugin would with tinypool.
//
//   node build.mjs [folder]

import { readdirSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { Pool } from 'rcluster/pool';

const folder = process.argv[2] ?? fileURLToPath(new URL('.', import.meta.url));
const files = readdirSync(folder, { recursive: true, encoding: 'utf8' })
  .filter((name) => /\.[cm]?js$/.test(name) && !name.includes('node_modules'))
  .map((name) => path.join(folder, name));

const pool = new Pool({ filename: fileURLToPath(new URL('worker.mjs', import.meta.url)) });
const startedAt = performance.now();
const results = await pool.map(files, { concurrency: 16 });
const elapsed = performance.now() - startedAt;

for (const { file, before, after, hash } of results) {
  console.log(`${path.relative(folder, file).padEnd(40)} ${before} → ${after} bytes, ${hash}`);
}
console.log(`${results.length} files in ${elapsed.toFixed(0)} ms`);
await pool.close();
