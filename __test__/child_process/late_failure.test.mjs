// Failures that only the exec itself finds: each reported once, whatever the road, however many at a time.

import { chmodSync, closeSync, copyFileSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, expect, test } from 'vitest';

import { expectNoLeaks } from '../helpers/leaks.mjs';
import { both, ours, shapeOf } from '../parity/both.mjs';

const directory = mkdtempSync(join(tmpdir(), 'rcluster-late-'));
const path = (name) => join(directory, name);
const ROUNDS = Number(process.env.RCLUSTER_TEST_ROUNDS ?? 40);

beforeAll(() => {
  const files = {
    'no-interpreter': '#!/no/such/interpreter\n',
    'interpreter-denied': '#!/etc/passwd\n',
    'no-header': 'exit 7\n',
    empty: '',
  };
  for (const [name, text] of Object.entries(files)) writeFileSync(path(name), text, { mode: 0o755 });
  copyFileSync('/bin/true', path('busy'));
  chmodSync(path('busy'), 0o755);
});
afterAll(() => rmSync(directory, { recursive: true }));

/** What a spawn comes to: the error thrown or reported, and the events. */
function outcomeOf(spawn, ...args) {
  return new Promise((resolve) => {
    const events = [];
    let child;
    try {
      child = spawn(...args);
    } catch (error) {
      resolve([['thrown', shapeOf(error)]]);
      return;
    }
    child.on('spawn', () => events.push(['spawn']));
    child.on('error', (error) => events.push(['error', shapeOf(error)]));
    child.on('exit', (...rest) => events.push(['exit', ...rest]));
    child.on('close', (...rest) => {
      events.push(['close', ...rest]);
      resolve([...events, ['pid', typeof child.pid], ['exitCode', child.exitCode]]);
    });
  });
}

test.each(['no-interpreter', 'interpreter-denied', 'no-header', 'empty'])('%s: as in Node', async (name) => {
  const [expected, actual] = await Promise.all(
    both.map(([, { spawn }]) => outcomeOf(spawn, path(name), ['a'])),
  );
  expect(actual).toEqual(expected);
});

test("ETXTBSY, which Node's spawn throws, is an error event of the same shape", async () => {
  const fd = openSync(path('busy'), 'r+');
  try {
    const [expected, actual] = await Promise.all(both.map(([, { spawn }]) => outcomeOf(spawn, path('busy'))));
    expect(expected).toEqual([['thrown', expect.objectContaining({ message: 'spawn ETXTBSY' })]]);
    expect(actual).toEqual([
      ['error', expect.objectContaining({ message: `spawn ${path('busy')} ETXTBSY` })],
      ['close', -26, null],
      ['pid', 'undefined'],
      ['exitCode', -26],
    ]);
    expect(ours.spawnSync(path('busy')).error).toMatchObject({ code: 'ETXTBSY', errno: -26 });
  } finally {
    closeSync(fd);
  }
});

test('many at a time, among children that start: no errno is lost or mixed up', async () => {
  await outcomeOf(ours.spawn, 'true');
  await expectNoLeaks(async () => {
    const names = ['no-interpreter', 'interpreter-denied', 'no-header'];
    const wanted = { 'no-interpreter': 'ENOENT', 'interpreter-denied': 'EACCES', 'no-header': 7 };
    const outcomes = await Promise.all(
      Array.from({ length: ROUNDS * names.length }, async (_, at) => {
        const name = names[at % names.length];
        const child = ours.spawn(path(name), { stdio: at % 2 ? 'pipe' : 'ignore' });
        if (at % 5 === 0) void child.pid;
        const [result] = await new Promise((resolve) => {
          child.on('error', (error) => resolve([error.code]));
          child.on('exit', (code) => resolve([code]));
        });
        return result === wanted[name] ? undefined : { name, result };
      }),
    );
    expect(outcomes.filter(Boolean)).toEqual([]);
  });
});
