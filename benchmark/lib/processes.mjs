// Programs under measurement; none of them outlives this process.

import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

import { killGroup, startGroup } from '../../scripts/lib/group.mjs';

/** What programs under measurement inherit. */
export const inherited = { ...process.env };
// Node reads these certificates before anything else, which takes longer than the rest of its start.
delete inherited.NODE_EXTRA_CA_CERTS;

/**
 * Starts a Node program; its stderr is ours.
 * @param {URL} file
 * @param {string[]} [args]
 * @param {NodeJS.ProcessEnv} [env] added to this process's own
 * @param {string} [runtime] what runs it, this Node unless given
 */
export function startNode(file, args = [], env = {}, runtime = process.execPath) {
  return startProgram(runtime, [fileURLToPath(file), ...args], env);
}

/** @param {string} program @param {string[]} args @param {NodeJS.ProcessEnv} env */
function startProgram(program, args, env) {
  const child = startGroup(program, args, {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...inherited, ...env },
  });
  child.stdout.setEncoding('utf8');
  return child;
}

/**
 * Runs a Node program to its end and returns what it printed.
 * @param {URL} file
 * @param {string[]} [args]
 * @param {NodeJS.ProcessEnv} [env]
 * @param {string} [runtime]
 */
export function runNode(file, args, env, runtime) {
  return outputOf(startNode(file, args, env, runtime), fileURLToPath(file));
}

/** Runs any program to its end and returns what it printed. @param {string} program @param {string[]} args */
export function runProgram(program, args) {
  return outputOf(startProgram(program, args, {}), program);
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
