// Programs under measurement; none of them outlives this process.

import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

import { killGroup, startGroup } from '../../scripts/lib/group.mjs';

/**
 * Starts a Node program; its stderr is ours.
 * @param {URL} file
 * @param {string[]} [args]
 * @param {NodeJS.ProcessEnv} [env] added to this process's own
 */
export function startNode(file, args = [], env = {}) {
  const child = startGroup(process.execPath, [fileURLToPath(file), ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, ...env },
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
  return await outputOf(startNode(file, args, env), fileURLToPath(file));
}

/**
 * Runs any other program to its end and returns what it printed.
 * @param {string} file
 * @param {string[]} args
 */
export async function runProgram(file, args) {
  const child = startGroup(file, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  child.stdout.setEncoding('utf8');
  return await outputOf(child, file);
}

async function outputOf(child, name) {
  let output = '';
  child.stdout.on('data', (text) => (output += text));
  const [code, signal] = await once(child, 'close');
  if (code !== 0) throw new Error(`${name} ended with ${signal ?? `code ${code}`}`);
  return output;
}

/** Ends a program started here, with everything it started. */
export async function stop(child) {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  killGroup(child.pid);
  await exited;
}
