// A child to talk to.

import { once } from 'node:events';

import { ours } from '../parity/both.mjs';
import { fixture } from './run_script.mjs';

/**
 * Runs `body` with a child that does what it is told, then ends the child and waits for its 'close'.
 * @param {import('node:child_process').ForkOptions & { childProcess?: any }} options
 * @param {(child: import('node:child_process').ChildProcess) => unknown} body
 */
export async function withChild({ childProcess = ours, ...options }, body) {
  const child = childProcess.fork(fixture('ipc_child.cjs'), [], { execArgv: [], ...options });
  // Not 'close': Node's own does not come after a disconnect() on this side.
  const ended = new Promise((resolve) => child.once('exit', resolve));
  try {
    await body(child);
  } finally {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
    await ended;
  }
}

/** The next message. */
export async function nextMessage(child) {
  const [message, handle] = await once(child, 'message');
  return handle === undefined ? message : { message, handle };
}

/** Sends a command and returns the answer. */
export async function ask(child, command, ...rest) {
  const answer = nextMessage(child);
  child.send(command, ...rest);
  return await answer;
}

/** Collects messages until there are `count`. */
export function collect(child, count) {
  return new Promise((resolve) => {
    const messages = [];
    child.on('message', function onMessage(message) {
      messages.push(message);
      if (messages.length < count) return;
      child.off('message', onMessage);
      resolve(messages);
    });
  });
}

/**
 * Runs `body` with uncaught exceptions collected, instead of failing the test run.
 * @template T
 * @param {(caught: any[]) => Promise<T>} body
 */
export async function withUncaughtCollected(body) {
  const listeners = process.listeners('uncaughtException');
  process.removeAllListeners('uncaughtException');
  const caught = [];
  process.on('uncaughtException', (error) => caught.push(error));
  try {
    return await body(caught);
  } finally {
    process.removeAllListeners('uncaughtException');
    for (const listener of listeners) process.on('uncaughtException', listener);
  }
}
