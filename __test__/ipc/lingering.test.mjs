// A side that expects the next message soon does not sleep at once. Nothing else may have to wait for that, and a
// channel that nobody uses costs nothing.

import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import net from 'node:net';
import { setImmediate as turn, setTimeout as delay } from 'node:timers/promises';

import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { ours } from '../parity/both.mjs';
import { fixture } from '../helpers/run_script.mjs';

const ROUNDS = 300 * Number(process.env.RCLUSTER_TEST_ROUNDS ?? 1);

/** @type {any} */
let child;
afterEach(async () => {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGKILL');
  await once(child, 'exit');
});

/** Asks again as soon as an answer has come. */
async function pingPong(until) {
  let count = 0;
  for (; !until.done; count++) await child.request({ what: 'echo', value: count });
  return count;
}

describe.each(['ring', 'wire'])('by %s', (transport) => {
  beforeEach(async () => {
    const env = { ...process.env, RCLUSTER_IPC: transport };
    child = ours.fork(fixture('ipc_answering.cjs'), [], { execArgv: [], env });
    expect(await child.request({ what: 'transport' })).toBe(transport);
  });

  test('timers, immediates and sockets have their turn while messages come and go', async () => {
    const server = net.createServer((socket) => socket.pipe(socket)).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const socket = net.connect(/** @type {any} */ (server.address()).port, '127.0.0.1');
    await once(socket, 'connect');
    const until = { done: false };
    const asked = pingPong(until);
    for (let round = 0; round < 20; round++) {
      socket.write('x');
      await once(socket, 'data');
      await delay(1);
      await turn();
    }
    until.done = true;
    expect(await asked).toBeGreaterThan(5);
    socket.destroy();
    server.close();
  });

  test('an answer comes whether or not its asker has gone to sleep', async () => {
    for (let round = 0; round < ROUNDS; round++) {
      await child.request({ what: 'echo', value: round });
      const pause = performance.now() + (round % 20) * 0.01;
      while (performance.now() < pause);
      if (round % 50 === 0) await delay(1);
    }
  });

  test('without messages neither side uses the processor', async () => {
    const until = { done: false };
    setTimeout(() => (until.done = true), 50);
    await pingPong(until);
    const ticks = () => {
      const fields = readFileSync(`/proc/${child.pid}/stat`, 'utf8').split(') ')[1].split(' ');
      return Number(fields[11]) + Number(fields[12]);
    };
    const [before, own] = [ticks(), process.cpuUsage()];
    await delay(500);
    const { user, system } = process.cpuUsage(own);
    expect(ticks() - before).toBeLessThan(10);
    expect((user + system) / 1000).toBeLessThan(250);
  });

  test('an end that comes while it is looked for is told once', async () => {
    const until = { done: false };
    const answered = pingPong(until);
    let ends = 0;
    child.on('disconnect', () => ends++);
    await delay(20);
    until.done = true;
    await answered;
    // Without an answer, after which another one would be sent to a child that has gone and is not known to have.
    const asked = child.request({ what: 'never' }).catch((error) => error.code);
    child.kill('SIGKILL');
    await once(child, 'close');
    expect(await asked).toBe('ERR_IPC_CHANNEL_CLOSED');
    await delay(5);
    expect(ends).toBe(1);
  });
});
