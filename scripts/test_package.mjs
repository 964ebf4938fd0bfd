// `npm run test:package`: the tarballs as a user gets them. Packs, installs into empty apps by npm, pnpm and Yarn
// without Rust in reach, and loads every export in every way on every Node line. Takes some minutes and the registry;
// `npm test` has a short one (__test__/package.test.mjs).

import { spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';

import { LINES, nodeOf } from './lib/nodes.mjs';
import { root } from './lib/run.mjs';

/** Tools of the apps, by package name; the registry's current ones. */
const TOOLS = ['esbuild@0.28', 'typescript@5', '@types/node@22', 'publint@0.3', '@arethetypeswrong/cli@0.18'];
const PNPM = 'pnpm@10';
const YARN = '@yarnpkg/cli-dist@4';

const { values: options } = parseArgs({
  options: { tarballs: { type: 'string' }, keep: { type: 'boolean' } },
});
const scratch = mkdtempSync(join(tmpdir(), 'rcluster-package-'));
const programs = join(root, 'scripts', 'package_programs');
let passed = 0;
let failed = 0;

try {
  const tarballs = resolve(options.tarballs ?? join(scratch, 'tarballs'));
  if (!options.tarballs)
    must('node', ['scripts/pack.mjs', '--out', tarballs], { cwd: root, stdio: 'inherit' });
  const files = readdirSync(tarballs).map((file) => join(tarballs, file));
  const main = files.find((file) => /rcluster-\d/.test(file));
  const binding = files.find((file) => file.includes(`binding-linux-${process.arch}-${libc()}-`));
  const nodes = Object.fromEntries(LINES.map((line) => [line, nodeOf(line)]));
  testApps(main, binding, nodes);
} finally {
  if (options.keep) console.log(`kept ${scratch}`);
  else rmSync(scratch, { recursive: true, force: true });
}
console.log(`\n${passed} passed, ${failed} failed`);
process.exitCode = failed ? 1 : 0;

function testApps(main, binding, nodes) {
  const app = makeApp('npm', main, binding);
  check('npm installs it', () => npm(app, ['install', '--loglevel=error']));
  check('Rust is out of reach', () => {
    for (const tool of ['cargo', 'rustc']) {
      const { error } = spawnSync(tool, ['--version'], { env: environment() });
      if (error?.code !== 'ENOENT') throw new Error(`${tool} is there`);
    }
  });
  for (const [line, node] of Object.entries(nodes)) {
    for (const [name, args] of Object.entries(waysToLoad())) {
      check(`Node ${line}: ${name}`, () => must(node, args, { cwd: app }));
    }
  }

  check('the tools install', () => npm(app, ['install', '--no-save', '--loglevel=error', ...TOOLS]));
  const tool = (name) => join(app, 'node_modules', '.bin', name);
  check('esbuild, external', () => {
    const flags = ['--bundle', '--platform=node', '--format=esm', '--packages=external'];
    must(tool('esbuild'), ['all.mjs', ...flags, '--outfile=bundled.mjs'], { cwd: app });
    must(process.execPath, ['bundled.mjs'], { cwd: app });
  });
  for (const [module, resolution] of [
    ['node16', 'node16'],
    ['nodenext', 'nodenext'],
    ['esnext', 'bundler'],
  ]) {
    check(`types, ${resolution}`, () => {
      const flags = ['--noEmit', '--strict', '--module', module, '--moduleResolution', resolution];
      // `import x = require()` is not for modules that a bundler reads.
      const sources = resolution === 'bundler' ? ['typed.mts'] : ['typed.mts', 'typed.cts'];
      must(tool('tsc'), [...flags, '--types', 'node', ...sources], { cwd: app });
    });
  }
  check('publint', () => must(tool('publint'), ['run', main, '--strict'], { cwd: app }));
  check('attw', () => must(tool('attw'), [main, '--profile', 'node16'], { cwd: app }));

  const tools = join(scratch, 'tools');
  mkdirSync(tools);
  writeFileSync(join(tools, 'package.json'), '{}');
  check('pnpm and Yarn', () => npm(tools, ['install', '--loglevel=error', PNPM, YARN]));
  check('pnpm', () => {
    const directory = makeApp('pnpm', main, binding);
    must(join(tools, 'node_modules', '.bin', 'pnpm'), ['install', '--no-frozen-lockfile'], {
      cwd: directory,
    });
    for (const args of Object.values(waysToLoad())) must(process.execPath, args, { cwd: directory });
  });
  check("Yarn's Plug'n'Play", () => {
    const directory = makeApp('yarn', main, binding);
    writeFileSync(
      join(directory, '.yarnrc.yml'),
      'enableTelemetry: false\nnodeLinker: pnp\npnpEnableEsmLoader: true\nenableImmutableInstalls: false\n',
    );
    writeFileSync(join(directory, 'yarn.lock'), '');
    const yarn = join(tools, 'node_modules', '@yarnpkg', 'cli-dist', 'bin', 'yarn.js');
    must(process.execPath, [yarn, 'install'], { cwd: directory });
    if (existsSync(join(directory, 'node_modules', 'rcluster'))) throw new Error('there is a node_modules');
    for (const args of Object.values(waysToLoad()))
      must(process.execPath, [yarn, 'node', ...args], { cwd: directory });
  });
}

/** Arguments of Node, by what they show. */
function waysToLoad() {
  return {
    require: ['all.cjs'],
    import: ['all.mjs'],
    '--require': ['--require', 'rcluster/register', 'registered.cjs'],
    '--import': ['--import', 'rcluster/register', 'registered.cjs'],
    'worker threads': ['threads.cjs'],
  };
}

/** An empty app that depends on the tarballs. */
function makeApp(name, main, binding) {
  const directory = join(scratch, name);
  cpSync(programs, directory, { recursive: true });
  const packageName = (platform) => `@rcluster/binding-${platform}`;
  const ours = { [packageName(`linux-${process.arch}-${libc()}`)]: `file:${binding}` };
  // As long as nothing is published there are no others. Yarn wants to know them all, the rest try and go on.
  const all = Object.fromEntries(
    readdirSync(join(root, 'npm')).map((name) => [packageName(name), `file:${binding}`]),
  );
  const manifest = {
    private: true,
    dependencies: { rcluster: `file:${main}` },
    overrides: ours,
    pnpm: { overrides: ours },
    resolutions: { ...all, ...ours },
  };
  writeFileSync(join(directory, 'package.json'), JSON.stringify(manifest, null, 2));
  return directory;
}

/** What a machine without Rust has. */
function environment() {
  const bin = join(scratch, 'bin');
  if (!existsSync(bin)) {
    mkdirSync(bin);
    symlinkSync(process.execPath, join(bin, 'node'));
  }
  const system = ['/usr/local/bin', '/usr/bin', '/bin'].filter(
    (directory) => !existsSync(join(directory, 'cargo')),
  );
  const npmDirectory = dirname(process.execPath);
  const paths = [bin, ...(existsSync(join(npmDirectory, 'cargo')) ? [] : [npmDirectory]), ...system];
  const { NODE_OPTIONS, ...rest } = process.env;
  return { ...rest, PATH: [...new Set(paths)].join(delimiter) };
}

function npm(cwd, args) {
  must('npm', args, { cwd });
}

function must(command, args, spawnOptions = {}) {
  const { status, error, stdout, stderr } = spawnSync(command, args, {
    encoding: 'utf8',
    timeout: 300_000,
    ...spawnOptions,
    env: spawnOptions.stdio === 'inherit' ? process.env : environment(),
  });
  if (status === 0) return stdout;
  throw new Error(
    `${command} ${args.join(' ')}: ${error?.message ?? `exit code ${status}`}\n${stdout ?? ''}${stderr ?? ''}`,
  );
}

function check(name, run) {
  try {
    run();
    passed++;
    console.log(`ok      ${name}`);
  } catch (error) {
    failed++;
    console.log(`FAILED  ${name}\n${error.message}`);
  }
}

function libc() {
  return process.report.getReport().header.glibcVersionRuntime ? 'gnu' : 'musl';
}
