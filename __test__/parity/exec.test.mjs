// exec and execFile: limits, time-outs, encodings, errors and promises as in Node.

import { once } from 'node:events';
import { promisify } from 'node:util';

import { describe, expect, test } from 'vitest';

import { both, nodeChildProcess, nodeMajor, ours, shapeOf } from './both.mjs';

/** What the callback gets. */
const outcome = (module, name, args) =>
  new Promise((resolve) => {
    module[name](...args, (error, stdout, stderr) => resolve({ error: shapeOf(error), stdout, stderr }));
  });

describe('the callback gets what Node gives it', () => {
  test.each([
    ['exec', ['echo out; echo err >&2']],
    ['exec', ['exit 3']],
    ['exec', ['echo err >&2; exit 1']],
    ['exec', ['kill -9 $$']],
    ['exec', ['echo out', { encoding: 'buffer' }]],
    ['exec', ['echo out', { encoding: 'no-such' }]],
    ['exec', ['echo out', { encoding: 'hex' }]],
    ['exec', ['echo $A', { env: { A: 'b' } }]],
    ['exec', ['echo out', { shell: '/no/such/shell' }]],
    ['exec', ['echo out', { cwd: '/no-such-directory' }]],
    ['exec', ['exec sleep 10', { timeout: 50 }]],
    ['exec', ['exec sleep 10', { timeout: 50, killSignal: 'SIGKILL' }]],
    ['exec', ['echo 1234567', { maxBuffer: 5 }]],
    ['exec', ['echo 1234567 >&2', { maxBuffer: 5 }]],
    ['exec', ['echo 1234', { maxBuffer: 5 }]],
    ['exec', ['echo 1234567', { maxBuffer: 5, encoding: 'buffer' }]],
    ['exec', ['printf ääää', { maxBuffer: 5 }]],
    ['exec', ['printf 123; sleep 0.1; printf 456', { maxBuffer: 5 }]],
    ['exec', ['echo 1', { maxBuffer: 0 }]],
    ['exec', ['echo 1234567', { maxBuffer: Infinity }]],
    ['execFile', ['echo', ['a', 'b']]],
    ['execFile', ['sh', ['-c', 'exit 3']]],
    ['execFile', ['sh', ['-c', 'exit 3'], { shell: false }]],
    ['execFile', ['no-such-program', ['a']]],
    ['execFile', ['/etc/passwd']],
    ['execFile', ['echo "$0"', { shell: true }]],
    ['execFile', ['true', null]],
    ['execFile', ['true', undefined, undefined]],
  ])('%s%j', async (name, args) => {
    expect(await outcome(ours, name, args)).toEqual(await outcome(nodeChildProcess, name, args));
  });
});

describe.each(both)('%s', (name, module) => {
  const { exec, execFile } = module;

  test('a time-out settles although a grandchild holds the outputs', async () => {
    const started = performance.now();
    const { error } = await outcome(module, 'exec', ['sleep 3 & exec sleep 3', { timeout: 100 }]);
    expect(performance.now() - started).toBeLessThan(2000);
    expect(error.properties).toMatchObject({ killed: true, signal: 'SIGTERM', code: null });
  });

  test('a promise of exec has the child, and its rejection the outputs', async () => {
    const promise = promisify(exec)('echo out; echo err >&2; exit 2');
    expect(promise.child).toBeInstanceOf(module.ChildProcess);
    await expect(promise).rejects.toMatchObject({
      code: 2,
      stdout: 'out\n',
      stderr: 'err\n',
      cmd: expect.any(String),
    });
    expect(await promisify(execFile)('echo', ['out'])).toEqual({ stdout: 'out\n', stderr: '' });
    expect(() => promisify(exec)('a\0b')).toThrow('null bytes');
  });

  test('the promise forms have the names of the running line', () => {
    const form = exec[promisify.custom];
    expect([form.name, form.length]).toEqual([nodeMajor >= 22 ? 'exec' : '', 0]);
    expect(Object.getOwnPropertyDescriptor(exec, promisify.custom)).toMatchObject({
      enumerable: false,
      writable: false,
      configurable: false,
    });
  });

  test('a signal aborts it', async () => {
    const controller = new AbortController();
    const result = outcome(module, 'execFile', ['sleep', ['10'], { signal: controller.signal }]);
    controller.abort(new Error('why'));
    const { error } = await result;
    expect(error).toMatchObject({ name: 'AbortError', message: 'The operation was aborted' });
    expect(error.properties).toMatchObject({ code: 'ABORT_ERR', cmd: 'sleep 10' });
  });

  test('a kill that throws is reported', async () => {
    const failure = new Error('mock');
    let child;
    const reported = await new Promise((resolve) => {
      child = execFile('sleep', ['10'], { timeout: 20 }, resolve);
      child.kill = () => {
        throw failure;
      };
    });
    expect(reported).toBe(failure);
    delete child.kill;
    child.kill('SIGKILL');
    await once(child, 'exit');
  });

  test('without a callback the output is still taken', async () => {
    const child = exec('head -c 1000000 /dev/zero');
    expect(await once(child, 'close')).toEqual([0, null]);
  });

  test('exec runs the execFile somebody has put in its place', () => {
    const original = module.execFile;
    const calls = [];
    module.execFile = (...args) => calls.push(args);
    try {
      exec('echo', { env: { A: 'b' } }, undefined);
    } finally {
      module.execFile = original;
    }
    expect(calls).toEqual([['echo', { __proto__: null, env: { A: 'b' }, shell: true }, undefined]]);
  });
});
