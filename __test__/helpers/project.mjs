// A project of a user's in a folder of its own, with packages installed as links.

import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { onTestFinished } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));

/**
 * Makes the folder, which goes when the test ends; returns its path.
 * @param {string | Record<string, string>} content a folder of this repository to copy, or files by name
 * @param {string[]} packages of ours, rcluster itself or from node_modules
 */
export function projectOf(content, packages) {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'rcluster-project-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  if (typeof content === 'string') {
    cpSync(path.join(root, content), folder, { recursive: true });
  } else {
    for (const [name, text] of Object.entries(content)) writeFileSync(path.join(folder, name), text);
  }
  mkdirSync(path.join(folder, 'node_modules'));
  for (const name of packages) {
    const target = name === 'rcluster' ? root : path.join(root, 'node_modules', name);
    symlinkSync(target, path.join(folder, 'node_modules', name));
  }
  return folder;
}
