// Runs a command to its end, showing its output as it comes.

import { fileURLToPath } from 'node:url';

import { killGroup, startGroup } from './group.mjs';

export const root = fileURLToPath(new URL('../..', import.meta.url));

/**
 * @param {string} command
 * @param {string[]} args
 * @param {{ capture?: boolean, seconds?: number }} [options] `capture` also returns what it wrote to stdout;
 *   `seconds` is its time limit
 * @returns {Promise<{ ok: boolean, stdout: string, why: string }>}
 */
export function run(command, args, { capture = false, seconds } = {}) {
  return new Promise((resolve) => {
    const stdio = ['ignore', capture ? 'pipe' : 'inherit', 'inherit'];
    const child = startGroup(command, args, { cwd: root, stdio });
    let stdout = '';
    let why = '';
    const overtime = () => {
      why = `took longer than ${seconds} s`;
      killGroup(child.pid);
    };
    const timer = seconds && setTimeout(overtime, seconds * 1000);

    child.stdout?.setEncoding('utf8').on('data', (text) => {
      process.stdout.write(text);
      stdout += text;
    });
    child.on('error', (error) => {
      why = error.message;
    });
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      resolve({ ok: code === 0, stdout, why: why || (signal ? `ended by ${signal}` : `exit code ${code}`) });
    });
  });
}
