// spawnSync, execSync and execFileSync: the same results and errors as Node's.

import { closeSync, mkdtempSync, openSync, readFileSync, realpathSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { both, nodeChildProcess, nodeMajor, ours, outcomeOf } from './both.mjs';

let directory;
beforeAll(() => {
  directory = realpathSync(mkdtempSync(join(tmpdir(), 'rcluster-sync-')));
});
afterAll(() => rmSync(directory, { recursive: true }));

/** A result without what differs from one child to the next. */
function comparable({ pid, ...result }) {
  return { hasPid: pid > 0, ...result };
}

describe('spawnSync gives what Node gives', () => {
  test.each([
    ['no output', ['true']],
    ['an exit code', ['sh', ['-c', 'exit 3']]],
    ['a signal', ['sh', ['-c', 'kill -9 $$']]],
    ['a signal without a name', ['sh', ['-c', 'kill -35 $$']]],
    ['the first of two names of a signal', ['sh', ['-c', 'kill -6 $$']]],
    ['both outputs', ['sh', ['-c', 'echo out; echo err >&2']]],
    ['an encoding', ['sh', ['-c', 'echo out'], { encoding: 'hex' }]],
    ['encoding buffer', ['echo', ['out'], { encoding: 'buffer' }]],
    ['an unknown encoding', ['echo', ['out'], { encoding: 'no-such' }]],
    ['input as a string', ['cat', { input: 'text' }]],
    ['input in an encoding', ['cat', { input: '616263', encoding: 'hex' }]],
    ['input as bytes', ['cat', { input: Buffer.from('bytes') }]],
    ['input as a wider array', ['cat', { input: new Uint16Array([0x6161, 0x6262]).subarray(1) }]],
    ['input as a DataView', ['cat', { input: new DataView(new ArrayBuffer(4), 1, 2) }]],
    ['empty input', ['cat', { input: '' }]],
    ['input that is ignored', ['cat', { input: 'text', stdio: ['ignore', 'pipe', 'pipe'] }]],
    ['input nobody reads', ['true', { input: Buffer.alloc(3_000_000) }]],
    [
      'more slots than three',
      ['sh', ['-c', 'echo four >&4'], { stdio: ['pipe', 'pipe', 'pipe', null, 'pipe'] }],
    ],
    ['fewer slots than three', ['sh', ['-c', 'echo out; echo err >&2'], { stdio: ['ignore'] }]],
    ['ignored slots', ['sh', ['-c', 'echo out'], { stdio: 'ignore' }]],
    ['bytes as an entry, which Node forgets', ['true', { stdio: [Buffer.from('x'), 'pipe', 'pipe'] }]],
    ['a program that is not there', ['no-such-program', ['a', 'b']]],
    ['a file that is no program', ['/etc/passwd']],
    ['a directory', ['/']],
    ['a working directory that is not there', ['true', { cwd: '/no-such-directory' }]],
    ['an empty working directory', ['true', { cwd: '' }]],
    ['a closed descriptor', ['true', { stdio: [0, 1, 987] }]],
    ['an empty environment', ['/usr/bin/env', { env: {} }]],
    [
      'an environment',
      ['/usr/bin/env', { env: { A: 'b', EMPTY: '', GONE: undefined, NUMBER: 1, NULL: null } }],
    ],
    ['an inherited environment', ['/usr/bin/env', { env: Object.create({ INHERITED: 'yes' }) }]],
    ['arguments that are no strings', ['echo', [1, null, undefined, true, { toString: () => 'object' }]]],
    ['arguments in other scripts', ['echo', ['ünïcode', '日本', '\u{1f600}', '\ud800']]],
    ['empty arguments', ['printf', ['[%s]', '', 'a', '']]],
    ['argv0', ['sh', ['-c', 'echo $0'], { argv0: 'other' }]],
    ['argv0 with a shell', ['cat /proc/self/cmdline; true', { shell: true, argv0: 'other' }]],
    ['a shell', ['echo $0 "a b"', { shell: true }]],
    ['a shell by name', ['echo $0', { shell: '/bin/sh' }]],
    ['a shell that is not there', ['echo', { shell: '/no/such/shell' }]],
    ['maxBuffer at the limit', ['printf', ['12345'], { maxBuffer: 5 }]],
    ['maxBuffer just below', ['sh', ['-c', 'printf 12345; exec sleep 10'], { maxBuffer: 4 }]],
    ['maxBuffer 0, which is no limit', ['printf', ['12345'], { maxBuffer: 0 }]],
    ['maxBuffer Infinity', ['printf', ['12345'], { maxBuffer: Infinity }]],
    [
      'maxBuffer of both outputs',
      ['sh', ['-c', 'printf 123; sleep 0.1; printf 456 >&2; exec sleep 10'], { maxBuffer: 5 }],
    ],
    ['a timeout', ['sleep', ['10'], { timeout: 50 }]],
    ['a timeout with a signal', ['sleep', ['10'], { timeout: 50, killSignal: 'SIGINT' }]],
    ['a timeout with a signal number', ['sleep', ['10'], { timeout: 50, killSignal: 9 }]],
    ['a timeout that is not reached', ['true', { timeout: 10_000 }]],
    ['output before a timeout', ['sh', ['-c', 'echo early; exec sleep 10'], { timeout: 100 }]],
    ['detached', ['sh', ['-c', 'ps -o sid= -p $$ | grep -q $$ && echo leader'], { detached: true }]],
    ['a program found in its own PATH', ['sh', ['-c', 'echo found'], { env: { PATH: '/bin' } }]],
    ['no program in its own PATH', ['sh', ['-c', 'echo found'], { env: { PATH: '/no/such' } }]],
  ])('%s', (_, args) => {
    const [expected, actual] = [nodeChildProcess, ours].map((module) =>
      outcomeOf(() => comparable(module.spawnSync(...args))),
    );
    expect(actual).toEqual(expected);
    if (expected.returned) {
      expect(Object.keys(actual.returned)).toEqual(Object.keys(expected.returned));
      expect(shapesOfErrors(actual.returned)).toEqual(shapesOfErrors(expected.returned));
    }
  });

  const shapesOfErrors = ({ error }) => error && { ...error, message: error.message, text: String(error) };
});

describe('execSync and execFileSync throw what Node throws', () => {
  test.each([
    ['execSync', ['exit 3']],
    ['execSync', ['kill -9 $$']],
    ['execSync', ['echo out; exit 1', { encoding: 'utf8' }]],
    ['execSync', ['sleep 10', { timeout: 50 }]],
    ['execSync', ['exec yes', { maxBuffer: 0.5, stdio: 'pipe' }]],
    ['execSync', ['true', { cwd: '/no-such-directory' }]],
    ['execFileSync', ['sh', ['-c', 'exit 3']]],
    ['execFileSync', ['sh', ['-c', 'exit 3'], { argv0: 'other' }]],
    ['execFileSync', ['no-such-program', ['a', 'b']]],
    ['execFileSync', ['false', [], { stdio: 'ignore' }]],
  ])('%s%j', (name, args) => {
    const run = (module) => {
      const { thrown } = outcomeOf(() => module[name](...args));
      const { pid, output, stdout, ...properties } = thrown.properties;
      // How much of endless output is read before the end of it differs from run to run.
      const read = name === 'execSync' && args[0] === 'exec yes' ? [] : [output, stdout];
      return { ...thrown, properties, read, hasPid: pid > 0, keys: Object.keys(thrown.properties) };
    };
    expect(run(ours)).toEqual(run(nodeChildProcess));
  });
});

describe.each(both)('%s', (name, { execFileSync, execSync, spawnSync }) => {
  test('a large input and a large output pass at once', () => {
    const input = Buffer.alloc(5_000_000, 'abcdefg');
    const { stdout, error } = spawnSync('cat', { input, maxBuffer: Infinity });
    expect(error).toBeUndefined();
    expect(stdout.equals(input)).toBe(true);
  });

  test('every output is a Buffer of its own memory', () => {
    const { output } = spawnSync('sh', ['-c', 'echo out; echo err >&2']);
    expect(output[0]).toBeNull();
    expect(Buffer.isBuffer(output[1])).toBe(true);
    output[1].fill(0);
    expect(String(output[2])).toBe('err\n');
  });

  test('what could not be started has no pid, no output and no status', () => {
    const result = spawnSync('no-such-program');
    expect(result).toMatchObject({ pid: 0, output: null, status: null, signal: null });
    expect(result.error).toMatchObject({
      message: 'spawnSync no-such-program ENOENT',
      code: 'ENOENT',
      errno: -2,
      syscall: 'spawnSync no-such-program',
      path: 'no-such-program',
      spawnargs: [],
    });
    expect(result.stdout).toBe(nodeMajor >= 22 ? undefined : null);
  });

  test('a file: URL, a Buffer and a string name a working directory', () => {
    for (const cwd of [pathToFileURL(directory), Buffer.from(directory), directory]) {
      expect(execSync('pwd -P', { cwd, encoding: 'utf8' })).toBe(`${directory}\n`);
    }
  });

  test('a relative program is looked up in the working directory of the child', () => {
    rmSync(join(directory, 'link'), { force: true });
    symlinkSync('/bin/echo', join(directory, 'link'));
    expect(execFileSync('./link', ['here'], { cwd: directory, encoding: 'utf8' })).toBe('here\n');
  });

  test('a descriptor of this process is inherited', () => {
    const file = join(directory, name);
    const fd = openSync(file, 'w');
    try {
      const { output } = spawnSync('sh', ['-c', 'echo to the file'], { stdio: ['ignore', fd, 'ignore'] });
      expect(output).toEqual([null, null, null]);
    } finally {
      closeSync(fd);
    }
    expect(readFileSync(file, 'utf8')).toBe('to the file\n');
  });

  test('a child that ignores the signal of its timeout is waited for', () => {
    const { error, status } = spawnSync('sh', ['-c', 'trap "" TERM; echo; sleep 0.3; exit 7'], {
      timeout: 100,
    });
    expect(error.code).toBe('ETIMEDOUT');
    expect(status).toBe(7);
  });

  test('output held open by a grandchild is waited for', () => {
    const { stdout } = spawnSync('sh', ['-c', '(sleep 0.2; echo late) & echo early'], { encoding: 'utf8' });
    expect(stdout).toBe('early\nlate\n');
  });

  test('the options given are left as they are', () => {
    const options = Object.freeze({
      input: 'x',
      stdio: Object.freeze(['pipe', 'pipe', 'pipe']),
      env: Object.freeze({}),
    });
    expect(spawnSync('/bin/cat', options).status).toBe(0);
  });
});
