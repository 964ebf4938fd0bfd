// What a child is given: arguments, environment, directory, shell. The child says what it got.

import { once } from 'node:events';
import { pathToFileURL } from 'node:url';

import { afterEach, describe, expect, test } from 'vitest';

import { both, inheritsOwnEnvironment } from './both.mjs';

/** What a child writes to its stdout. */
async function outputOf(child) {
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (data) => {
    text += data;
  });
  await once(child, 'close');
  return text;
}

afterEach(() => {
  delete process.env.RCLUSTER_TEST;
  delete process.env.NODE_V8_COVERAGE;
});

describe.each(both)('%s', (name, { exec, fork, spawn }) => {
  const environmentOf = async (options) => {
    const text = await outputOf(spawn('/usr/bin/env', options));
    return Object.fromEntries(
      text
        .split('\n')
        .filter(Boolean)
        .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
    );
  };

  test('without env, a child gets the environment as it is now', async () => {
    process.env.RCLUSTER_TEST = 'ä=b';
    expect((await environmentOf()).RCLUSTER_TEST).toBe('ä=b');
    delete process.env.RCLUSTER_TEST;
    expect(await environmentOf({ env: null })).not.toHaveProperty('RCLUSTER_TEST');
  });

  test('without env, a child gets what somebody has put in place of process.env, up to Node 24', async () => {
    const genuine = process.env;
    process.env = { PATH: genuine.PATH, ONLY: 'this' };
    try {
      const { PATH, ONLY } = await environmentOf();
      expect({ PATH, ONLY }).toEqual({
        PATH: genuine.PATH,
        ONLY: inheritsOwnEnvironment ? undefined : 'this',
      });
    } finally {
      process.env = genuine;
    }
  });

  test('with env, a child gets that and nothing else', async () => {
    expect(await environmentOf({ env: { A: '1', B: 2, C: undefined, D: null, E: '' } })).toEqual({
      A: '1',
      B: '2',
      D: 'null',
      E: '',
    });
    expect(await environmentOf({ env: {} })).toEqual({});
  });

  test('inherited keys of env count', async () => {
    const env = Object.create({ INHERITED: 'yes' }, { OWN: { value: 'yes', enumerable: true } });
    expect(await environmentOf({ env })).toEqual({ INHERITED: 'yes', OWN: 'yes' });
  });

  test('NODE_V8_COVERAGE goes along unless env has its own', async () => {
    process.env.NODE_V8_COVERAGE = '/tmp/coverage';
    expect(await environmentOf({ env: { A: '1' } })).toEqual({ A: '1', NODE_V8_COVERAGE: '/tmp/coverage' });
    expect(await environmentOf({ env: { NODE_V8_COVERAGE: '' } })).toEqual({ NODE_V8_COVERAGE: '' });
    expect(await environmentOf({ env: { NODE_V8_COVERAGE: undefined } })).toEqual({});
  });

  test('a program is looked up in the PATH of the child', async () => {
    expect(await outputOf(spawn('echo', ['found'], { env: { PATH: '/no/such:/bin' } }))).toBe('found\n');
    const [error] = await once(spawn('echo', { env: { PATH: '/no/such' } }), 'error');
    expect(error.code).toBe('ENOENT');
  });

  test('arguments arrive as they are', async () => {
    const args = ['', ' ', 'a b', '$HOME', '"', "'", '\\', '\n', '日本', '-n', '*'];
    expect(await outputOf(spawn('printf', ['[%s]', ...args]))).toBe(args.map((arg) => `[${arg}]`).join(''));
  });

  test('arguments that are no strings become strings', async () => {
    const args = [1, null, undefined, true, [1, 2], { toString: () => 'object' }];
    expect(await outputOf(spawn('echo', args))).toBe('1 null undefined true 1,2 object\n');
  });

  test('a NUL that hides in an object does not start another argument', async () => {
    const hidden = { toString: () => 'a\0b' };
    expect(await outputOf(spawn('printf', ['[%s]', hidden, 'c']))).toBe('[a][c]');
    const env = { A: { toString: () => '1\0B=2' } };
    expect(await environmentOf({ env })).toEqual({ A: '1' });
  });

  test('argv0 is what the program sees as its name', async () => {
    expect(await outputOf(spawn('/bin/sh', ['-c', 'echo $0'], { argv0: 'other' }))).toBe('other\n');
    const child = spawn('sh', ['-c', 'exit'], { argv0: 'other' });
    expect(child.spawnargs).toEqual(['other', '-c', 'exit']);
    expect(child.spawnfile).toBe('sh');
    await once(child, 'close');
  });

  test('a shell gets file and arguments as one line', async () => {
    const child = spawn('echo', ['a', '&&', 'echo', '$0'], { shell: true });
    expect(child.spawnargs).toEqual(['/bin/sh', '-c', 'echo a && echo $0']);
    expect(await outputOf(child)).toBe('a\n/bin/sh\n');
    expect(await outputOf(spawn('echo $0', { shell: '/bin/sh' }))).toBe('/bin/sh\n');
  });

  test('cwd can be a URL, a Buffer or empty', async () => {
    expect(await outputOf(spawn('pwd', { cwd: pathToFileURL('/usr/') }))).toBe('/usr\n');
    // Node's spawn accepts a Buffer and forgets it; its spawnSync does not.
    const fromBytes = await outputOf(spawn('pwd', { cwd: Buffer.from('/usr') }));
    if (name === 'rcluster') expect(fromBytes).toBe('/usr\n');
    expect(await outputOf(spawn('pwd', { cwd: '' }))).toBe(`${process.cwd()}\n`);
    expect(await outputOf(exec('pwd', { cwd: '/usr' }))).toBe('/usr\n');
  });

  test('fork gives a child execArgv, the module and the arguments', async () => {
    const child = fork('-c', ['echo "$@"; echo $NODE_CHANNEL_FD', 'name', 'a', 'b'], {
      execPath: '/bin/sh',
      execArgv: ['-u'],
      silent: true,
    });
    expect(child.spawnargs.slice(0, 3)).toEqual(['/bin/sh', '-u', '-c']);
    expect(await outputOf(child)).toBe('a b\n3\n');
  });

  test('the options given are left as they are', async () => {
    const options = { cwd: '/usr', env: { A: '1' }, stdio: ['ignore'], argv0: 'x', shell: true };
    const before = structuredClone(options);
    process.env.NODE_V8_COVERAGE = '/tmp/coverage';
    if (name === 'rcluster') {
      await once(spawn('true', ['a'].slice(1), Object.freeze(options)), 'close');
      expect(options).toEqual(before);
    }
  });

  test('options on Object.prototype are not taken', async () => {
    Object.prototype.cwd = '/no-such-directory';
    Object.prototype.shell = '/no/such/shell';
    try {
      expect(await once(spawn('true', []), 'close')).toEqual([0, null]);
    } finally {
      delete Object.prototype.cwd;
      delete Object.prototype.shell;
    }
  });

  test('more than the kernel takes as arguments throws', () => {
    expect(() => spawn('true', ['x'.repeat(1_000_000)])).toThrow(
      expect.objectContaining({ message: 'spawn E2BIG', code: 'E2BIG', syscall: 'spawn' }),
    );
  });
});
