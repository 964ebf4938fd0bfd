// fork: stdio, execArgv and what the child is told of its channel.

import { once } from 'node:events';

import { describe, expect, test } from 'vitest';

import { fixture, runScript } from '../helpers/run_script.mjs';
import { both } from './both.mjs';

const wait = (child) => new Promise((resolve) => child.once('close', resolve));

describe.each(both)('%s', (name, { fork, spawn }) => {
  test.each([
    ['a word, which gets a channel behind it', 'pipe', [true, true, true, false]],
    ['ignore', 'ignore', [false, false, false, false]],
    ['an array', ['ignore', 'pipe', 'inherit', 'ipc'], [false, true, false, false]],
    ['a channel in slot 1', ['pipe', 'ipc', 'pipe'], [true, false, true]],
    [
      'a channel behind a gap',
      ['pipe', 'pipe', 'pipe', 'ignore', 'pipe', 'ipc'],
      [true, true, true, false, true, false],
    ],
  ])('stdio may be %s', async (_, stdio, pipes) => {
    const child = fork(fixture('ipc_child.cjs'), [], { execArgv: [], stdio });
    expect(child.stdio.map((stream) => stream !== null)).toEqual(pipes);
    child.send({ command: 'echo', value: 'here' });
    expect((await once(child, 'message'))[0]).toBe('here');
    child.kill();
    await wait(child);
  });

  test('spawn with a channel of its own number tells the child that number', async () => {
    const child = spawn('sh', ['-c', 'echo "$NODE_CHANNEL_FD $NODE_CHANNEL_SERIALIZATION_MODE"'], {
      stdio: ['ignore', 'pipe', 'inherit', 'ignore', 'ipc'],
      serialization: 'advanced',
    });
    let text = '';
    child.stdout.on('data', (data) => (text += data));
    await wait(child);
    expect(text).toBe('4 advanced\n');
  });

  test('code given by -e is not given on: no child of a child of a child', async () => {
    const { stdout, code } = await runScript('-e', {
      module: name,
      args: [
        `const { fork } = require(process.env.CHILD_PROCESS);
         console.log('parent');
         fork(${JSON.stringify(fixture('print_exec_argv.cjs'))}).on('close', (code) => console.log('closed', code));`,
      ],
      execArgv: ['--no-warnings'],
    });
    expect(stdout).toBe('parent\n["--no-warnings"]\nclosed 0\n');
    expect(code).toBe(0);
  });

  test('execArgv, execPath, env and cwd', async () => {
    const child = fork(fixture('print_exec_argv.cjs'), ['x'], {
      execArgv: ['--trace-uncaught'],
      env: { ONLY: 'this' },
      cwd: '/',
      silent: true,
    });
    let text = '';
    child.stdout.on('data', (data) => (text += data));
    await wait(child);
    expect(text).toBe('["--trace-uncaught"]\n');
    expect(child.spawnargs).toEqual([
      process.execPath,
      '--trace-uncaught',
      fixture('print_exec_argv.cjs'),
      'x',
    ]);
  });

  test('a module that is not there ends the child with 1', async () => {
    const child = fork('/no/such/module.js', { silent: true });
    child.stderr.resume();
    expect(await once(child, 'close')).toEqual([1, null]);
    expect(child.connected).toBe(false);
  });
});
