// What `npm pack` would publish, installed into an empty app as npm would lay it out. `npm run test:package` does it with
// npm, pnpm and Yarn, and on every Node line.

import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { startScript } from './helpers/run_script.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const app = mkdtempSync(join(tmpdir(), 'rcluster-app-'));
const installed = join(app, 'node_modules', 'rcluster');
/** @type {string[]} */
let files;

beforeAll(() => {
  cpSync(join(root, 'scripts', 'package_programs'), app, { recursive: true });
  const [report] = JSON.parse(
    execFileSync('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], { cwd: root, encoding: 'utf8' }),
  );
  files = report.files.map(({ path }) => path);
  for (const file of files) {
    mkdirSync(dirname(join(installed, file)), { recursive: true });
    cpSync(join(root, file), join(installed, file));
  }
  for (const name of Object.keys(manifest.dependencies ?? {})) {
    cpSync(join(root, 'node_modules', name), join(app, 'node_modules', name), { recursive: true });
  }
  for (const binary of readdirSync(root).filter((file) => file.endsWith('.node'))) {
    const platform = /rcluster\.(.*)\.node/.exec(binary)?.[1] ?? '';
    const directory = join(app, 'node_modules', '@rcluster', `binding-${platform}`);
    mkdirSync(directory, { recursive: true });
    cpSync(join(root, 'npm', platform, 'package.json'), join(directory, 'package.json'));
    cpSync(join(root, binary), join(directory, binary));
  }
});

afterAll(() => rmSync(app, { recursive: true, force: true }));

/** Runs a program of the app. */
async function run(file, { execArgv = [], env = {} } = {}) {
  const { code, stdout, stderr } = await startScript(join(app, file), { execArgv, env, cwd: app }).finished;
  return { code, stdout, stderr };
}

const silent = { code: 0, stdout: '', stderr: '' };

test('every export and every type it names is published', () => {
  const named = Object.values(manifest.exports).flatMap((entry) =>
    typeof entry === 'string' ? [entry] : Object.values(entry),
  );
  const bins = Object.values(manifest.bin ?? {});
  for (const file of [...named, ...bins]) expect(files).toContain(file.replace('./', ''));
});

test('nothing is published that only development needs', () => {
  const allowed =
    /^(lib\/|bin\/|docs\/\w[\w-]*\.md$|LICENSE$|README\.md$|GOTCHAS\.md$|CHANGELOG\.md$|package\.json$|[a-z_]+\.(js|d\.ts)$)/;
  expect(files.filter((file) => !allowed.test(file))).toEqual([]);
});

test('every platform package is of this version, and says where it runs', () => {
  for (const platform of readdirSync(join(root, 'npm'))) {
    const { name, version, os, cpu, libc, main } = JSON.parse(
      readFileSync(join(root, 'npm', platform, 'package.json'), 'utf8'),
    );
    const [system, arch, abi] = platform.split('-');
    expect({ name, version, os, cpu, libc, main }).toEqual({
      name: `${manifest.napi.packageName}-${platform}`,
      version: manifest.version,
      os: [system],
      cpu: [arch],
      libc: [abi === 'gnu' ? 'glibc' : abi],
      main: `rcluster.${platform}.node`,
    });
  }
});

describe.runIf(process.platform === 'linux')('installed', () => {
  test.each([
    ['require', 'all.cjs'],
    ['import', 'all.mjs'],
    ['worker threads', 'threads.cjs'],
  ])('%s', async (_, file) => {
    expect(await run(file)).toEqual(silent);
  });

  test.each(['--require', '--import'])('%s', async (flag) => {
    expect(await run('registered.cjs', { execArgv: [flag, 'rcluster/register'] })).toEqual(silent);
  });

  test('NODE_OPTIONS', async () => {
    expect(await run('registered.cjs', { env: { NODE_OPTIONS: '--require rcluster/register' } })).toEqual(
      silent,
    );
  });

  test('without its platform package it says which one is missing, and what to do', async () => {
    const scope = join(app, 'node_modules', '@rcluster');
    const aside = join(app, 'aside');
    cpSync(scope, aside, { recursive: true });
    rmSync(scope, { recursive: true });
    writeFileSync(join(app, 'missing.cjs'), "console.log(require('rcluster').native);");
    const { stdout, stderr } = await run('missing.cjs');
    cpSync(aside, scope, { recursive: true });
    expect(stdout).toBe('false\n');
    expect(stderr).toMatch(/the package @rcluster\/binding-linux-\S+ is not installed.*--omit=optional/s);
  });
});
