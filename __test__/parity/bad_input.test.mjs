// Every wrong argument we could think of: same class, code, message and properties as Node's on the running line.

import { AsyncLocalStorage } from 'node:async_hooks';
import { describe, expect, test } from 'vitest';

import { nodeChildProcess, nodeMajor, ours, outcomeOf } from './both.mjs';

const values = [
  undefined,
  null,
  true,
  false,
  0,
  -0,
  1,
  -1,
  0.5,
  NaN,
  Infinity,
  -Infinity,
  2 ** 33,
  -(2 ** 53),
  10n,
  2n ** 40n,
  '',
  'text',
  "it's",
  'a string that is longer than twenty-eight characters',
  'nul\0byte',
  Symbol('symbol'),
  function named() {},
  () => {},
  {},
  { a: 1 },
  Object.create(null),
  [],
  ['a'],
  [1, 2],
  new Date(0),
  new Map([[1, 2]]),
  /re/,
  Buffer.from('bytes'),
  new Uint8Array(2),
  new URL('http://example.com/'),
  new URL('file:///tmp/a%00b'),
  { constructor: 5 },
  { constructor: { name: 7 } },
  { constructor: null },
  new AsyncLocalStorage(),
];

/** Ends whatever was started: only the shape of errors is compared here. */
function dispose(result) {
  if (result && typeof result.kill === 'function') {
    result.on('error', () => {});
    // Node's kill of a child that failed to start signals pid 0: this whole process group.
    if (result.pid) result.kill('SIGKILL');
    return 'child';
  }
  return 'result';
}

/** @param {(module: typeof nodeChildProcess) => any} run */
function expectSame(run) {
  const [expected, actual] = [nodeChildProcess, ours].map((module) => outcomeOf(() => dispose(run(module))));
  expect(actual).toEqual(expected);
}

const describeValue = (value) => {
  if (typeof value === 'symbol' || typeof value === 'bigint') return String(value);
  if (typeof value === 'object' && value !== null) return Object.prototype.toString.call(value);
  return `${Object.is(value, -0) ? '-0' : value}`.replaceAll('\0', '\\0');
};
const cases = values.map((value, index) => [`${index}: ${describeValue(value)}`, value]);
const optionNames = [
  'cwd', 'detached', 'uid', 'gid', 'shell', 'argv0', 'windowsHide', 'windowsVerbatimArguments', 'timeout',
  'killSignal', 'signal', 'serialization',
]; // prettier-ignore

describe.each(optionNames)('option %s', (name) => {
  // What would really run as another user, or for long, is not the subject here.
  const skipped = (value) => (name === 'uid' || name === 'gid') && Number.isInteger(value) && value >= 0;

  test.each(cases)('of spawn being %s', (_, value) => {
    if (!skipped(value)) expectSame((module) => module.spawn('true', [], { stdio: 'ignore', [name]: value }));
  });

  test.each(cases)('of spawnSync being %s', (_, value) => {
    if (!skipped(value))
      expectSame((module) => module.spawnSync('true', [], { stdio: 'ignore', [name]: value }));
  });

  test.each(cases)('of execFile being %s', (_, value) => {
    if (!skipped(value)) expectSame((module) => module.execFile('true', [], { [name]: value }));
  });
});

describe.each(['maxBuffer', 'encoding', 'input', 'env', 'stdio'])('option %s', (name) => {
  // Node aborts the whole process on these two: invalid child stdio type.
  const aborts = (value) => name === 'stdio' && value === 'overlapped';

  test.each(cases)('of spawnSync being %s', (_, value) => {
    if (!aborts(value)) expectSame((module) => module.spawnSync('true', [], { [name]: value }));
  });

  test.each(cases)('of execFile being %s', (_, value) => {
    expectSame((module) => module.execFile('true', [], { [name]: value }));
  });
});

describe('stdio', () => {
  test.each(cases)('of spawn being %s', (_, value) => {
    expectSame((module) => module.spawn('true', [], { stdio: value }));
  });

  test.each(cases)('having an entry %s', (_, value) => {
    // Numbers name descriptors, which are whatever they are in this process.
    if (typeof value === 'number') return;
    expectSame((module) => module.spawn('true', [], { stdio: ['ignore', 'ignore', 'ignore', value] }));
  });

  test.each([
    ['two channels', ['ipc', 'pipe', 'ipc']],
    ['a channel and a wrong word', ['ipc', 'pipe', 'foo']],
    ['an unknown word', 'foo'],
    ['a channel alone', 'ipc'],
    ['a closed descriptor', ['ignore', 987]],
  ])('being %s', (_, stdio) => {
    if (!stdio.includes(987)) expectSame((module) => module.spawn('true', [], { stdio }));
    expectSame((module) => module.spawnSync('true', [], { stdio }));
  });
});

describe('positional arguments', () => {
  test.each(cases)('file %s', (_, value) => {
    expectSame((module) => module.spawn(value));
    expectSame((module) => module.spawnSync(value));
    expectSame((module) => module.execFile(value));
    expectSame((module) => module.execFileSync(value));
  });

  test.each(cases)('command %s', (_, value) => {
    if (typeof value === 'string' && !value.includes('\0')) return;
    expectSame((module) => module.exec(value));
    expectSame((module) => module.execSync(value));
  });

  test.each(cases)('args %s', (_, value) => {
    expectSame((module) => module.spawn('true', value, { stdio: 'ignore' }));
    expectSame((module) => module.spawnSync('true', value, { stdio: 'ignore' }));
    expectSame((module) => module.execFile('true', value, {}));
    expectSame((module) => module.fork('/dev/null', value));
  });

  test.each(cases)('options %s', (_, value) => {
    expectSame((module) => module.spawn('true', [], value));
    expectSame((module) => module.spawnSync('true', [], value));
    expectSame((module) => module.execFile('true', [], value));
    expectSame((module) => module.execFileSync('true', [], value));
    if (typeof value !== 'function') expectSame((module) => module.exec('true', value));
    expectSame((module) => module.fork('/dev/null', [], value));
  });

  test.each(cases)('callback %s', (_, value) => {
    if (typeof value === 'function') return;
    expectSame((module) => module.execFile('true', [], {}, value));
    expectSame((module) => module.exec('true', {}, value));
  });

  test.each(cases)('modulePath %s', (_, value) => {
    if (typeof value === 'string' && !value.includes('\0')) return;
    expectSame((module) => module.fork(value));
  });
});

describe('fork', () => {
  test.each([
    [{ stdio: ['pipe', 'pipe', 'pipe'] }],
    [{ stdio: 'foo' }],
    [{ stdio: ['ipc', 'ipc'] }],
    [{ execPath: 'a\0b' }],
    [{ execArgv: ['a', 'b\0c'] }],
    [{ serialization: 'foo' }],
    [{ env: { A: 'b\0' } }],
  ])('%j', (options) => {
    expectSame((module) => module.fork('/dev/null', [], options));
  });
});

describe('NUL bytes', () => {
  test.each([
    ['arguments', ['ok', 'a\0b'], {}],
    ['a name in the environment', [], { env: { 'A\0': 'b' } }],
    ['a value in the environment', [], { env: { A: 'b\0c' } }],
    ['the shell', [], { shell: '/bin/\0sh' }],
    ['argv0', [], { argv0: 'a\0' }],
    ['the working directory', [], { cwd: '/tmp\0' }],
    ['the working directory as bytes', [], { cwd: Buffer.from('/tmp\0') }],
  ])('in %s', (_, args, options) => {
    expectSame((module) => module.spawn('true', args, options));
    expectSame((module) => module.spawnSync('true', args, options));
    expectSame((module) => module.execFile('true', args, options));
  });
});

describe('ChildProcess.prototype.spawn', () => {
  /** @param {any} options */
  const expectSameOf = (options) => {
    // Node runs what stands before the NUL; nobody gets here with one through the module's functions.
    if (options?.file?.includes?.('\0')) return;
    expectSame((module) => {
      const child = new module.ChildProcess();
      child.on('error', () => {});
      child.spawn(options && typeof options === 'object' ? { ...options } : options);
      return child;
    });
  };

  test.each(cases)('options %s', (_, value) => expectSameOf(value));

  test.each(cases)('file, args and envPairs %s', (_, value) => {
    expectSameOf({ file: value });
    expectSameOf({ file: 'true', args: value });
    // Node takes an environment that is no array for none, where there is no channel.
    const stdio = ['ignore', 'ignore', 'ignore', 'ipc'];
    expectSameOf({ file: 'true', envPairs: Array.isArray(value) ? [...value] : value, stdio });
  });
});

test('names and lengths of the functions', () => {
  const describeAll = (module) =>
    Object.keys(module).map((key) => [key, module[key].name, module[key].length]);
  expect(describeAll(ours)).toEqual(describeAll(nodeChildProcess));
});

test('the running line is one that is supported', () => {
  expect([20, 22, 24, 26]).toContain(nodeMajor);
});
