// Makes a checkout ready to run, from nothing but Node, Rust and a C linker. Does only what is missing.

import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, readdirSync, statSync } from 'node:fs';
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
  if (built()) return;
  say('Building the addon in release mode, about a minute.');
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

/**
 * Whether the addon is the release build of what is there now. napi's second build, after the first in a checkout, is
 * not for nothing: it compiles everything anew.
 */
function built() {
  try {
    const addons = readdirSync(root).filter((file) => /^rcluster\..*\.node$/.test(file));
    const changed = changedAt();
    const current = artifacts().filter((file) => statSync(file).mtimeMs > changed);
    return addons.some((addon) => current.some((file) => sameBytes(file, join(root, addon))));
  } catch (error) {
    if (error.code === 'ENOENT') return false;
    throw error;
  }
}

/** What cargo has built in release mode, for this machine's platform by itself or by its name. */
function artifacts() {
  const target = process.env.CARGO_TARGET_DIR ?? join(root, 'target');
  const folders = ['.', ...readdirSync(target)].map((name) => join(target, name, 'release'));
  return folders.map((folder) => join(folder, 'librcluster.so')).filter((file) => existsSync(file));
}

/** When a source of the addon was written last, or a folder of them; in milliseconds. */
function changedAt() {
  const sources = readdirSync(join(root, 'src'), { recursive: true }).map((name) => join('src', name));
  const files = ['src', 'Cargo.toml', 'Cargo.lock', 'build.rs', 'package-lock.json', ...sources];
  return Math.max(...files.map((file) => statSync(join(root, file)).mtimeMs));
}

function sameBytes(one, other) {
  return readFileSync(one).equals(readFileSync(other));
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
