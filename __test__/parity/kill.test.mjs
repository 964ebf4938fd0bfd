// kill(), killed and dispose: a signal that was sent, and nothing else that is touched.

import { once } from 'node:events';
import { readFileSync } from 'node:fs';

import { describe, expect, test } from 'vitest';

import { fixture } from '../helpers/run_script.mjs';
import { waitFor } from '../helpers/wait.mjs';
import { both, ours, outcomeOf } from './both.mjs';

/** The state letter of a process. */
const stateOf = (pid) => / ([A-Z]) \d+ /.exec(readFileSync(`/proc/${pid}/stat`, 'latin1'))[1];

describe.each(both)('%s', (name, { spawn, fork }) => {
  test('a signal that was sent before does not hold back the next', async () => {
    const child = spawn('sleep', ['60'], { stdio: 'ignore' });
    await once(child, 'spawn');
    for (let round = 0; round < 3; round++) {
      expect(child.kill('SIGSTOP')).toBe(true);
      await waitFor(() => stateOf(child.pid) === 'T');
      expect(child.kill('SIGCONT')).toBe(true);
      await waitFor(() => stateOf(child.pid) !== 'T');
    }
    expect(child.kill(9)).toBe(true);
    expect(await once(child, 'exit')).toEqual([null, 'SIGKILL']);
  });

  test('killed says that a signal was sent: 0 counts', async () => {
    const child = spawn('sh', ['-c', 'trap "" TERM; echo; read line; exit 4']);
    await once(child.stdout, 'data');
    expect(child.killed).toBe(false);
    expect(child.kill(0)).toBe(true);
    expect(child.killed).toBe(true);
    expect(child.kill()).toBe(true);
    child.stdin.end('\n');
    expect(await once(child, 'close')).toEqual([4, null]);
  });

  test('a child that has ended cannot be killed', async () => {
    const child = spawn('true', { stdio: 'ignore' });
    await once(child, 'exit');
    expect(child.kill()).toBe(false);
    expect(child.kill(0)).toBe(false);
    expect(child.killed).toBe(false);
  });

  test('right after the spawn, before the exec is known', async () => {
    for (let round = 0; round < 10; round++) {
      const child = spawn('sleep', ['60'], { stdio: 'ignore' });
      expect(child.kill('SIGKILL')).toBe(true);
      expect(await once(child, 'exit')).toEqual([null, 'SIGKILL']);
    }
  });

  test.each([['SIGNONE'], ['sigterm'], [-1], [1000], [null], [{}], [15.5], [''], ['term']])(
    'kill(%j)',
    (signal) => {
      const outcomes = both.map(([, module]) => {
        const child = module.spawn('sleep', ['60'], { stdio: 'ignore' });
        const outcome = outcomeOf(() => child.kill(signal));
        child.kill('SIGKILL');
        return outcome;
      });
      expect(outcomes[1]).toEqual(outcomes[0]);
    },
  );

  test('it touches neither stdin nor the channel', async () => {
    const child = fork(fixture('ipc_child.cjs'), [], {
      execArgv: [],
      stdio: ['pipe', 'pipe', 'inherit', 'ipc'],
    });
    await once(child, 'spawn');
    child.kill('SIGWINCH');
    expect([child.connected, child.stdin.destroyed, child.stdin.writable]).toEqual([true, false, true]);
    child.send({ command: 'echo', value: 'still there' });
    expect((await once(child, 'message'))[0]).toBe('still there');
    child.kill('SIGTERM');
    expect(child.connected).toBe(true);
    await once(child, 'close');
    expect(child.connected).toBe(false);
  });

  test('Symbol.dispose sends SIGTERM, once', async () => {
    const child = spawn('sleep', ['60'], { stdio: 'ignore' });
    const signals = [];
    const { kill } = child;
    child.kill = (...args) => {
      signals.push(args);
      return Reflect.apply(kill, child, args);
    };
    child[Symbol.dispose]();
    child[Symbol.dispose]();
    expect(signals).toEqual([[]]);
    expect(await once(child, 'exit')).toEqual([null, 'SIGTERM']);
    child[Symbol.dispose]();
  });
});

test('a child that could not be started is not signalled: Node would signal its own group', async () => {
  let heard = 0;
  const listener = () => heard++;
  process.on('SIGWINCH', listener);
  const child = ours.spawn('no-such-program');
  child.on('error', () => {});
  expect(child.kill('SIGWINCH')).toBe(false);
  await new Promise((resolve) => child.once('close', resolve));
  expect(child.kill('SIGWINCH')).toBe(false);
  process.off('SIGWINCH', listener);
  expect(heard).toBe(0);
});
