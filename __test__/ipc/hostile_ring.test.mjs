// The memory of a ring belongs to the other end too, which may write to it what it likes: the channel ends, and
// nothing else does. RCLUSTER_TORTURE multiplies the rounds.

import { once } from 'node:events';
import { expect, test } from 'vitest';

import { ours } from '../parity/both.mjs';
import { fixture, runScript } from '../helpers/run_script.mjs';
import { waitFor } from '../helpers/wait.mjs';

const registered = ['--require', fixture('../../register.js')];

const ROUNDS = 3 * Number(process.env.RCLUSTER_TORTURE ?? 1);
const timeout = 60_000 + ROUNDS * 500;

test.each([
  ['child', 'json'],
  ['child', 'advanced'],
  ['parent', 'json'],
  ['parent', 'advanced'],
])('a %s that overwrites the ring (%s)', { timeout }, async (who, serialization) => {
  const { code, stdout, stderr } = await runScript(fixture('ipc_hostile.cjs'), {
    args: [who, String(Date.now() % 1e6), String(ROUNDS), serialization],
    execArgv: ['--expose-gc'],
    env: { NODE_OPTIONS: [...registered, '--no-warnings'].join(' ') },
    timeout,
  });
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(JSON.parse(stdout)).toMatchObject({ isClean: true });
});

test.each([
  ['json', ['text', 'parcel', 'skeleton', 'place']],
  [
    'advanced',
    [
      'frame',
      'empty',
      'json',
      'beside',
      'views',
      'view of nothing',
      'inherited view',
      'no views',
      'kind',
      'row of unknown keys',
      'row of no keys',
      'row without all values',
      'row view twice',
      'row view of nothing',
      'row view outside',
      'row view in part',
      'row view too large',
      'row of text',
    ],
  ],
])('what cannot be read from the ring ends the channel (%s)', async (serialization, kinds) => {
  for (const kind of kinds) {
    const child = /** @type {any} */ (
      ours.fork(fixture('ipc_nonsense.cjs'), { serialization, execArgv: registered })
    );
    const messages = [];
    child.on('message', (message) => messages.push(message));
    await waitFor(() => child.channel.transport === 'ring');
    const warning = once(process, 'warning');
    const exited = once(child, 'exit');
    child.send(kind);
    await once(child, 'disconnect');
    expect((await warning)[0]).toMatchObject({ code: 'RCLUSTER_CHANNEL' });
    expect(messages).toEqual(['before']);
    expect(/** @type {any} */ ({}).polluted).toBe(undefined);
    await exited;
  }
});
