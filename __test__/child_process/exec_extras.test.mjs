// Options that Node has not pass through exec and execFile; Node's own that execFile ignores stay ignored.

import { expect, test } from 'vitest';

import { ours } from '../parity/both.mjs';

const outputOf = (name, ...args) =>
  new Promise((resolve, reject) => {
    ours[name](...args, (error, stdout) => (error ? reject(error) : resolve(stdout)));
  });

test('extras reach the child', async () => {
  expect(await outputOf('exec', 'umask; ulimit -n', { umask: 0o027, rlimits: { nofile: 64 } })).toBe(
    '0027\n64\n',
  );
  expect(await outputOf('execFile', 'nice', { nice: 7 })).toBe('7\n');
});

test('a wrong extra throws', () => {
  expect(() => ours.exec('true', { nice: 100 })).toThrow(
    expect.objectContaining({ code: 'ERR_OUT_OF_RANGE' }),
  );
});

test('stdio, detached and argv0 stay without effect, as in Node', async () => {
  const options = { stdio: 'ignore', detached: true, argv0: 'other' };
  expect(await outputOf('execFile', 'sh', ['-c', 'echo $0'], options)).toBe('sh\n');
});
