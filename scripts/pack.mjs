// `npm run pack:all [-- --out FOLDER] [--host]`: the tarballs of the package and of its platform packages, as they are
// published.
//
// A binary built here would ask for the glibc of this machine. Those that are published are linked by zig, which knows
// the symbols of every glibc, so they run where glibc is as old as scripts/lib/binary.mjs says. `--host` links with
// what there is here instead, for a try.

import { execFileSync, spawnSync } from 'node:child_process';
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { parseArgs } from 'node:util';

import { OLDEST_GLIBC, compareVersions, glibcOf } from './lib/binary.mjs';
import { root } from './lib/run.mjs';

/** From PyPI: the linker, and the cargo command that uses it. */
const LINKER = ['ziglang==0.17.1', 'cargo-zigbuild==0.24.0'];
const MAX_MEGABYTES = 3;

/** Platform packages by Rust's name of the platform. */
const TARGETS = {
  'x86_64-unknown-linux-gnu': 'linux-x64-gnu',
  'aarch64-unknown-linux-gnu': 'linux-arm64-gnu',
  'x86_64-unknown-linux-musl': 'linux-x64-musl',
  'aarch64-unknown-linux-musl': 'linux-arm64-musl',
};

const { values: options } = parseArgs({
  options: {
    out: { type: 'string', default: join(root, 'dist') },
    host: { type: 'boolean', default: false },
    /** Rust's names of the platforms to build for; by default that of this machine. */
    target: { type: 'string', multiple: true },
    /** Packs what is in npm/ already and builds nothing. */
    'no-build': { type: 'boolean', default: false },
  },
});

const manifest = readJson(join(root, 'package.json'));
rmSync(options.out, { recursive: true, force: true });
mkdirSync(options.out, { recursive: true });

const targets = options.target ?? [hostTarget()];
for (const target of targets) if (!TARGETS[target]) fail(`no package for ${target}`);
if (!options['no-build']) for (const target of targets) build(target);

const packed = Object.values(TARGETS).map(packPlatform).filter(Boolean);
if (packed.length === 0) fail('there is no binary to pack');
packed.push(packMain());

let installed = 0;
for (const { file, unpackedSize } of packed) console.log(`${(unpackedSize / 1e6).toFixed(2)} MB  ${file}`);
for (const { unpackedSize, isMain, platform } of packed) {
  if (isMain || platform === TARGETS[targets[0]]) installed += unpackedSize;
}
console.log(`${(installed / 1e6).toFixed(2)} MB installed`);
if (installed > MAX_MEGABYTES * 1e6) fail(`that is more than ${MAX_MEGABYTES} MB`);

/** Builds one platform's binary into its folder. */
function build(target) {
  const isMusl = target.endsWith('musl');
  const suffix = options.host || isMusl ? '' : `.${OLDEST_GLIBC}`;
  const command = options.host ? 'build' : 'zigbuild';
  run('cargo', [command, '--release', '--lib', '--target', `${target}${suffix}`], {
    // Node on musl is linked against a shared libc; what is linked against a static one cannot be loaded there.
    ...(isMusl ? { RUSTFLAGS: '-C target-feature=-crt-static' } : {}),
    ...(options.host ? {} : linkerPath()),
  });
  const built = join(root, 'target', target, 'release', 'librcluster.so');
  const glibc = glibcOf(built);
  if (!options.host && glibc && compareVersions(glibc, OLDEST_GLIBC) > 0) {
    fail(`${built} needs glibc ${glibc}, newer than ${OLDEST_GLIBC}`);
  }
  console.log(`${target}: ${glibc ? `needs glibc ${glibc}` : 'needs no glibc'}`);
  copyFileSync(built, binaryOf(TARGETS[target]));
}

/** Where a platform package has its binary. */
function binaryOf(platform) {
  return join(root, 'npm', platform, `rcluster.${platform}.node`);
}

/** A PATH with cargo-zigbuild and zig in it, installed into target/ where they are missing. */
function linkerPath() {
  const python = join(root, 'target', 'zig', 'bin');
  if (!existsSync(join(python, 'cargo-zigbuild'))) {
    console.log(`installing ${LINKER.join(' and ')} from PyPI into target/zig`);
    if (spawnSync('python3', ['--version']).status !== 0) {
      fail('python3 is needed for the linker (or link with `npm run pack:all -- --host`)');
    }
    run('python3', ['-m', 'venv', dirname(python)]);
    run(join(python, 'pip'), ['install', '--quiet', '--disable-pip-version-check', ...LINKER]);
  }
  return { PATH: `${python}${delimiter}${process.env.PATH}` };
}

/** Packs one platform's package; undefined where it has no binary. */
function packPlatform(platform) {
  const directory = join(root, 'npm', platform);
  if (!existsSync(binaryOf(platform))) return undefined;
  return { ...pack(directory), platform };
}

/** Packs the package itself, with the platform packages for optional dependencies. */
function packMain() {
  const staging = join(root, 'target', 'pack');
  rmSync(staging, { recursive: true, force: true });
  const [{ files }] = JSON.parse(npm(['pack', '--dry-run', '--json', '--ignore-scripts'], root));
  for (const { path } of files) {
    mkdirSync(dirname(join(staging, path)), { recursive: true });
    cpSync(join(root, path), join(staging, path));
  }
  // What only development needs is not published.
  const { scripts, devDependencies, overrides, napi, ...published } = manifest;
  published.optionalDependencies = Object.fromEntries(
    Object.values(TARGETS).map((platform) => [`${napi.packageName}-${platform}`, manifest.version]),
  );
  writeFileSync(join(staging, 'package.json'), `${JSON.stringify(published, null, 2)}\n`);
  return { ...pack(staging), isMain: true };
}

/** @param {string} directory */
function pack(directory) {
  const args = ['pack', '--json', '--ignore-scripts', '--pack-destination', options.out];
  const [{ filename, unpackedSize }] = JSON.parse(npm(args, directory));
  const file = join(options.out, filename);
  statSync(file);
  return { file, unpackedSize };
}

function npm(args, cwd) {
  return execFileSync('npm', args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
}

function run(command, args, env = {}) {
  const { status, error } = spawnSync(command, args, {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
    env: { ...process.env, ...env },
  });
  if (status !== 0) fail(`${command} ${args.join(' ')}: ${error?.message ?? `exit code ${status}`}`);
}

/** Rust's name of this machine, as far as there is a package for it. */
function hostTarget() {
  const { arch, report } = process;
  const machine = { x64: 'x86_64', arm64: 'aarch64' }[arch] ?? fail(`no package for ${arch}`);
  const libc = report.getReport().header.glibcVersionRuntime ? 'gnu' : 'musl';
  return `${machine}-unknown-linux-${libc}`;
}

function readJson(file) {
  return JSON.parse(readFileSync(file, 'utf8'));
}

function fail(text) {
  console.error(text);
  process.exit(1);
}
