// What this process holds, as the kernel sees it.

import { readFileSync, readdirSync, readlinkSync } from 'node:fs';

/**
 * The open descriptors of this process and what each is.
 * @returns {Map<number, string>}
 */
export function openFds() {
  const fds = new Map();
  for (const name of readdirSync('/proc/self/fd')) {
    try {
      fds.set(Number(name), readlinkSync(`/proc/self/fd/${name}`));
    } catch (error) {
      // The descriptor that read the directory is gone by now.
      if (error.code !== 'ENOENT') throw error;
    }
  }
  return fds;
}

/** How many descriptors this process has open. */
export function countFds() {
  return openFds().size;
}

/** How many threads this process has. */
export function countThreads() {
  return readdirSync('/proc/self/task').length;
}

/**
 * The children of this process, zombies among them (state `Z`).
 * @param {number} [parent]
 * @returns {{ pid: number, state: string, name: string }[]}
 */
export function childrenOf(parent = process.pid) {
  const children = [];
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    const stat = processStat(Number(entry));
    if (stat?.ppid === parent) children.push({ pid: stat.pid, state: stat.state, name: stat.name });
  }
  return children;
}

/** How many children of this process have ended but are not reaped. */
export function countZombies() {
  return childrenOf().filter(({ state }) => state === 'Z').length;
}

/** Whether a process exists and is no zombie. */
export function isAlive(pid) {
  const stat = processStat(pid);
  return stat !== undefined && stat.state !== 'Z';
}

function processStat(pid) {
  let text;
  try {
    text = readFileSync(`/proc/${pid}/stat`, 'latin1');
  } catch (error) {
    if (error.code === 'ENOENT' || error.code === 'ESRCH') return undefined;
    throw error;
  }
  // The name stands in parentheses and may hold anything, parentheses too.
  const end = text.lastIndexOf(')');
  const [state, ppid] = text.slice(end + 2).split(' ');
  return { pid, name: text.slice(text.indexOf('(') + 1, end), state, ppid: Number(ppid) };
}
