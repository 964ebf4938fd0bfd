// Makes a checkout ready to run, from nothing but Node, Rust and a C linker. Does only what is missing.

import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { root, run } from './run.mjs';

/** Installs the development dependencies and builds the addon, where needed. Ends the process if it cannot. */
export async function prepare() {
  const [major] = process.versions.node.split('.').map(Number);
  if (major < 20) fail(`Node.js 20 or newer is needed; this is ${process.version}.`);

  if (!installed()) {
    say('Installing the development dependencies (npm ci), about a quarter of a minute.');
    await must('npm', ['ci']);
  }
  if (process.platform !== 'linux') {
    say(`The engine runs on Linux only; on ${process.platform} Node's own modules serve. Nothing to build.`);
    return;
  }
  need('cargo', ['--version'], 'Rust is needed to build the addon: install it with rustup.');
  need('cc', ['--version'], 'A C linker is needed to build the addon: install gcc or clang.');
  say('Building the addon in release mode; the first build takes about a minute, later ones seconds.');
  await must('npm', ['run', '--silent', 'build']);
}

/** Prints what happens next, so that a long step is not a silent one. */
export function say(text) {
  process.stdout.write(`\n> ${text}\n`);
}

/** Whether node_modules holds what the lock file asks for; packages for other platforms may be absent. */
function installed() {
  try {
    const wanted = packagesOf('package-lock.json');
    const found = packagesOf('node_modules/.package-lock.json');
    return Object.entries(wanted).every(
      ([path, { version, optional }]) =>
        path === '' || found[path]?.version === version || (optional && !found[path]),
    );
  } catch (error) {
    if (error.code === 'ENOENT') return false;
    throw error;
  }
}

function packagesOf(lockFile) {
  return JSON.parse(readFileSync(join(root, lockFile), 'utf8')).packages;
}

function need(command, args, advice) {
  if (spawnSync(command, args, { stdio: 'ignore' }).error) fail(advice);
}

async function must(command, args) {
  const { ok, why } = await run(command, args);
  if (!ok) fail(`${command} ${args.join(' ')}: ${why}`);
}

function fail(text) {
  process.stderr.write(`\n${text}\n`);
  process.exit(1);
}
