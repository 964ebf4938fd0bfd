// Binaries of other Node lines, from npm, in a cache folder outside the checkout.

import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

/** The lines that are supported. */
export const LINES = [20, 22, 24, 26];

const cache =
  process.env.RCLUSTER_CACHE ?? join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'rcluster');

/**
 * The path of a Node binary, downloaded if it is not there yet.
 * @param {number} line as in 22
 */
export function nodeOf(line) {
  const directory = join(cache, `node-${line}`);
  const name = `node-linux-${process.arch}`;
  const binary = join(directory, 'node_modules', name, 'bin', 'node');
  if (!existsSync(binary)) {
    console.log(`fetching ${name}@${line} from npm into ${directory}`);
    mkdirSync(directory, { recursive: true });
    writeFileSync(join(directory, 'package.json'), '{ "private": true }\n');
    const options = ['--no-package-lock', '--loglevel=error'];
    execFileSync('npm', ['install', ...options, `${name}@${line}`], { cwd: directory, stdio: 'inherit' });
  }
  return binary;
}
