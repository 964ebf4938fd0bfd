// Programs in process groups of their own: a time limit, Ctrl-C or our own end ends all that they started.

import { spawn } from 'node:child_process';

/** @type {Set<import('node:child_process').ChildProcess>} */
const running = new Set();
let watching = false;

/**
 * Starts a program as the leader of a group that does not outlive this process.
 * @param {string} command
 * @param {string[]} args
 * @param {import('node:child_process').SpawnOptions} options
 */
export function startGroup(command, args, options) {
  endGroupsWithUs();
  const child = spawn(command, args, { ...options, detached: true });
  running.add(child);
  // The leader may end before the others do.
  child.on('exit', () => {
    killGroup(child.pid);
    running.delete(child);
  });
  return child;
}

/**
 * Kills a process group; one that is gone already is no error.
 * @param {number | undefined} pid of the group's leader
 */
export function killGroup(pid) {
  try {
    if (pid) process.kill(-pid, 'SIGKILL');
  } catch (error) {
    if (error.code !== 'ESRCH') throw error;
  }
}

function endGroupsWithUs() {
  if (watching) return;
  watching = true;
  process.on('exit', () => running.forEach(({ pid }) => killGroup(pid)));
  for (const [signal, code] of Object.entries({ SIGHUP: 129, SIGINT: 130, SIGTERM: 143 })) {
    process.on(signal, () => process.exit(code));
  }
}
