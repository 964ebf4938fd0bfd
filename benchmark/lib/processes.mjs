// Programs under measurement: each in a process group of its own, all of them gone when this process is.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

import { killGroup } from '../../scripts/lib/kill_group.mjs';

/** @type {Set<import('node:child_process').ChildProcess>} */
const running = new Set();

process.on('exit', () => running.forEach(({ pid }) => killGroup(pid)));
for (const [signal, code] of /** @type {const} */ ([
  ['SIGINT', 130],
  ['SIGTERM', 143],
])) {
  process.on(signal, () => process.exit(code));
}

/**
 * Starts a Node program; its stderr is ours.
 * @param {URL} file
 * @param {string[]} [args]
 * @param {NodeJS.ProcessEnv} [env] added to this process's own
 */
export function startNode(file, args = [], env = {}) {
  const child = spawn(process.execPath, [fileURLToPath(file), ...args], {
    detached: true,
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, ...env },
  });
  running.add(child);
  // The leader of the group may end before its members do.
  child.on('exit', () => {
    killGroup(child.pid);
    running.delete(child);
  });
  child.stdout.setEncoding('utf8');
  return child;
}

/**
 * Runs a Node program to its end and returns what it printed.
 * @param {URL} file
 * @param {string[]} [args]
 * @param {NodeJS.ProcessEnv} [env]
 */
export async function runNode(file, args, env) {
  const child = startNode(file, args, env);
  let output = '';
  child.stdout.on('data', (text) => (output += text));
  const [code, signal] = await once(child, 'close');
  if (code !== 0) throw new Error(`${fileURLToPath(file)} ended with ${signal ?? `code ${code}`}`);
  return output;
}

/** Ends a program started here, with everything it started. */
export async function stop(child) {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  killGroup(child.pid);
  await exited;
}
