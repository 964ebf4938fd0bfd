// Runs a command in a process group of its own, so that a time limit or Ctrl-C ends everything it started.

import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

import { killGroup } from './kill_group.mjs';

export const root = fileURLToPath(new URL('../..', import.meta.url));

/**
 * Runs a command to its end, showing its output as it comes.
 * @param {string} command
 * @param {string[]} args
 * @param {{ capture?: boolean, seconds?: number, env?: NodeJS.ProcessEnv }} [options] `capture` also returns what
 *   it wrote to stdout; `seconds` is its time limit
 * @returns {Promise<{ ok: boolean, stdout: string, why: string }>}
 */
export function run(command, args, { capture = false, seconds = 0, env = process.env } = {}) {
  return new Promise((resolve) => {
    const stdio = ['ignore', capture ? 'pipe' : 'inherit', 'inherit'];
    const child = spawn(command, args, { cwd: root, detached: true, stdio, env });
    let stdout = '';
    let why = '';

    const end = () => killGroup(child.pid);
    const interrupted = (signal) => {
      end();
      process.exit(signal === 'SIGINT' ? 130 : 143);
    };
    process.on('SIGINT', interrupted).on('SIGTERM', interrupted);
    const timer = seconds
      ? setTimeout(() => {
          why = `took longer than ${seconds} s`;
          end();
        }, seconds * 1000)
      : undefined;

    child.stdout?.setEncoding('utf8').on('data', (text) => {
      process.stdout.write(text);
      stdout += text;
    });
    child.on('error', (error) => {
      why = error.message;
    });
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      process.off('SIGINT', interrupted).off('SIGTERM', interrupted);
      resolve({ ok: code === 0, stdout, why: why || (signal ? `ended by ${signal}` : `exit code ${code}`) });
    });
  });
}
