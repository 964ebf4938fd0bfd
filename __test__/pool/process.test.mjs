// How a pool and the process around it end.

import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

import { describe, expect, test } from 'vitest';

import { both, tasks } from './both.mjs';

const run = promisify(execFile);
const root = new URL('../..', import.meta.url);

const script = (name, body) =>
  run(
    process.execPath,
    ['-e', `const Pool = require('${name}'); const filename = ${JSON.stringify(tasks)}; ${body}`],
    { cwd: root, timeout: 10_000 },
  );

describe.each(both.map(([name]) => [name === 'piscina' ? 'piscina' : 'rcluster/pool']))('%s', (name) => {
  test('idle threads do not keep the process alive', async () => {
    await script(name, `new Pool({ filename }).run(1).then(console.log)`).then(({ stdout }) =>
      expect(stdout).toBe('1\n'),
    );
    await script(name, `new Pool({ filename })`);
  });

  test('a task does', async () => {
    const { stdout } = await script(
      name,
      `new Pool({ filename }).run(200, { name: 'sleep' }).then(console.log)`,
    );
    expect(stdout).toBe('200\n');
  });

  test('what a task prints comes before its result', async () => {
    const body = `new Pool({ filename }).run('printed', { name: 'print' }).then(() => console.log('done'))`;
    expect((await script(name, body)).stdout).toBe('printed\ndone\n');
  });

  test('process.exit() while tasks run', async () => {
    const body = `const pool = new Pool({ filename });
      pool.run(1).then(() => { pool.run(60000, { name: 'block' }); setTimeout(() => process.exit(3), 50); });`;
    await expect(script(name, body)).rejects.toMatchObject({ code: 3 });
  });
});
