// Binaries of other Node lines, and of hosts that are not Node, from npm, in a cache folder outside the checkout.

import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

/** The lines that are supported. */
export const LINES = [20, 22, 24, 26];

const { RCLUSTER_CACHE, XDG_CACHE_HOME } = process.env;
const cache = RCLUSTER_CACHE ?? join(XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'rcluster');

/**
 * The path of a Node binary, downloaded if it is not there yet.
 * @param {number} line as in 22
 */
export function nodeOf(line) {
  const name = `node-linux-${process.arch}`;
  return join(fetched(`node-${line}`, `${name}@${line}`), name, 'bin', 'node');
}

/**
 * The command of a package, downloaded if it is not there yet; undefined where it cannot be.
 * @param {string} name of the package, which is that of the command
 */
export function binaryOf(name) {
  try {
    return join(fetched(name, name), '.bin', name);
  } catch {
    return undefined;
  }
}

/** The node_modules of a folder in the cache with one package in it. */
function fetched(folder, spec) {
  const directory = join(cache, folder);
  const modules = join(directory, 'node_modules');
  if (existsSync(modules)) return modules;
  console.log(`fetching ${spec} from npm into ${directory}`);
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, 'package.json'), '{ "private": true }\n');
  const args = ['install', '--no-package-lock', '--loglevel=error', spec];
  execFileSync('npm', args, { cwd: directory, stdio: 'inherit' });
  return modules;
}
