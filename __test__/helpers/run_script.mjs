// Runs a fixture in a fresh Node, with Node's own modules or with rcluster's.

import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

import { killGroup } from '../../scripts/lib/group.mjs';

/** Leaders of the scripts that have not ended. */
const running = new Set();

/** The modules a fixture may require: `process.env.CLUSTER` and `process.env.CHILD_PROCESS` name them. */
export const MODULES = {
  node: { CLUSTER: 'node:cluster', CHILD_PROCESS: 'node:child_process' },
  rcluster: { CLUSTER: 'rcluster', CHILD_PROCESS: 'rcluster/child_process' },
};

/** The path of a file in fixtures/. */
export function fixture(name) {
  return fileURLToPath(new URL(`../fixtures/${name}`, import.meta.url));
}

/**
 * Starts a script in a fresh Node. By default its output is collected; `finished` resolves when it has ended and all
 * of it has been read. A script that is still there after `timeout` is killed, with all it started.
 * @param {string} file path of the script
 * @param {{ module?: keyof typeof MODULES, args?: string[], execArgv?: string[], env?: NodeJS.ProcessEnv,
 *   cwd?: string, timeout?: number, node?: string }} [options]
 */
export function startScript(file, options = {}) {
  const { module = 'rcluster', args = [], execArgv = [], env = {}, cwd, timeout = 15_000 } = options;
  const child = spawn(options.node ?? process.execPath, [...execArgv, file, ...args], {
    cwd,
    // A group of its own, so that a script that hangs can be ended with its workers.
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...cleanEnv(), ...MODULES[module], ...env },
  });
  const script = { child, stdout: '', stderr: '', finished: undefined, kill: () => killGroup(child.pid) };
  child.stdout.setEncoding('utf8').on('data', (text) => (script.stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text) => (script.stderr += text));
  running.add(script);
  const timer = setTimeout(script.kill, timeout);
  script.finished = new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      running.delete(script);
      script.kill();
      resolve({ code, signal, stdout: script.stdout, stderr: script.stderr });
    });
  });
  return script;
}

/**
 * Runs a script to its end.
 * @param {Parameters<typeof startScript>} options
 * @returns {Promise<{ code: number | null, signal: string | null, stdout: string, stderr: string }>}
 */
export function runScript(...options) {
  return startScript(...options).finished;
}

/** Ends the scripts that a failed test has left running. */
export async function endScripts() {
  const scripts = [...running];
  for (const script of scripts) script.kill();
  await Promise.allSettled(scripts.map(({ finished }) => finished));
}

/** This process's environment without what the test runner and its own parent put there for it. */
function cleanEnv() {
  const { NODE_OPTIONS, NODE_CHANNEL_FD, NODE_CHANNEL_SERIALIZATION_MODE, NODE_UNIQUE_ID, ...env } =
    process.env;
  return env;
}
