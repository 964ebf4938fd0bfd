// An installation that cannot work says so, and says what to do. Nothing of a program but the engine is lost.

import { execFileSync, spawnSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { afterAll, describe, expect, test } from 'vitest';

import { fixture, runScript } from './helpers/run_script.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const binary = readdirSync(root).find((file) => /^rcluster\.linux-.*\.node$/.test(file)) ?? '';
const scratch = mkdtempSync(join(tmpdir(), 'rcluster-setup-'));
// Other users are to read what is in it.
chmodSync(scratch, 0o755);
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

const served = { native: false, echo: '\n', pool: 'ERR_RCLUSTER_UNSUPPORTED' };
const running = { native: true, echo: '\n', pool: 'loads' };
const isRoot = process.getuid?.() === 0;
const NOBODY = 65534;
/** Whether root's files, Node among them, are within reach of others. */
const hasNobody = isRoot && runNode(['-e', '0']).status === 0;

/** What Node says where somebody else's program is at fault, as one line. */
const warning = (stderr) => stderr.replaceAll(/\(node:\d+\)|\(Use `node.*\n/g, '').trim();

async function pretend(what, env = {}) {
  const { stdout, stderr } = await runScript(fixture('setup_errors.cjs'), {
    execArgv: ['--require', fixture('pretend.cjs')],
    env: { PRETEND: what, ...env },
  });
  return { outcome: JSON.parse(stdout), said: warning(stderr) };
}

/** Runs with a binary that is somewhere else. */
async function withBinary(file, options = {}) {
  const { stdout, stderr } = await runScript(fixture('setup_errors.cjs'), {
    env: { NAPI_RS_NATIVE_LIBRARY_PATH: file },
    ...options,
  });
  return { outcome: stdout && JSON.parse(stdout), said: warning(stderr) };
}

describe.runIf(process.platform === 'linux')('on Linux there is one warning', () => {
  test('Node is too old', async () => {
    const { outcome, said } = await pretend('old node');
    expect(outcome).toEqual(served);
    expect(said).toMatch(
      /^\[RCLUSTER_NO_BINDING\] Warning: .* because it needs Node.js 20 or newer, and this is v18.20.8$/,
    );
  });

  test('a processor there is no binary for', async () => {
    const { outcome, said } = await pretend('ppc64');
    expect(outcome).toEqual(served);
    expect(said).toMatch(
      /because there is no binary for ppc64 processors; there are some for x64 and arm64$/,
    );
  });

  test('musl without its package', async () => {
    const { outcome, said } = await pretend('musl', { EXECUTABLE: join(scratch, 'node') });
    expect(outcome).toEqual(served);
    expect(said).toMatch(
      /because the package @rcluster\/binding-linux-\w+-musl is not installed\. .*--omit=optional/,
    );
  });

  test('glibc is too old', async () => {
    const file = join(scratch, 'too_new.node');
    const content = readFileSync(join(root, binary), 'latin1');
    const newest = /GLIBC_2\.(?:34|28|17)/.exec(content)?.[0] ?? '';
    writeFileSync(file, content.replaceAll(newest, newest.replace('GLIBC_2', 'GLIBC_9')), 'latin1');
    const { outcome, said } = await withBinary(file);
    expect(outcome).toEqual(served);
    expect(said).toMatch(
      /version `GLIBC_9\.\d+' not found.* The binary needs glibc 2\.28 or newer: use a newer system/,
    );
  });

  test.runIf(hasNobody)('a binary that may not be read', async () => {
    const file = join(scratch, 'unreadable.node');
    cpSync(join(root, binary), file);
    chmodSync(file, 0o600);
    const { outcome, said } = runAsNobody(['-e', readFileSync(fixture('setup_errors.cjs'), 'utf8')], {
      NAPI_RS_NATIVE_LIBRARY_PATH: file,
    });
    expect(outcome).toEqual(served);
    expect(said).toMatch(/Permission denied\. The user 65534 may not read it: see to the rights on/);
  });

  test.runIf(canMount())('a file system without exec', () => {
    const { stdout, stderr } = spawnSync(
      'unshare',
      [
        '--mount', 'sh', '-c',
        'mount -t tmpfs -o noexec none "$1" && cp "$2" "$1/a.node" && NAPI_RS_NATIVE_LIBRARY_PATH="$1/a.node" "$3" "$4"',
        'sh', makeDirectory('noexec'), join(root, binary), process.execPath, fixture('setup_errors.cjs'),
      ],
      { encoding: 'utf8' },
    ); // prettier-ignore
    expect(JSON.parse(stdout)).toEqual(served);
    expect(warning(stderr)).toMatch(
      /Its file system seems to be mounted noexec: install into another one, or mount/,
    );
  });
});

describe('elsewhere it is no fault, and nothing is said before it matters', () => {
  test.each([
    ['bun', 'the engine runs in Node.js only, and this is Bun 1.2.3'],
    ['deno', 'the engine runs in Node.js only, and this is Deno 2.3.4'],
    ['mac', 'the engine runs on Linux only, and this is darwin'],
  ])('%s', async (what, reason) => {
    const { outcome, said } = await pretend(what);
    expect({ outcome, said }).toEqual({ outcome: served, said: '' });
    const script = "require('rcluster/child_process').spawn('true', { nice: 1 })";
    const { stderr } = spawnSync(process.execPath, ['--require', fixture('pretend.cjs'), '-e', script], {
      cwd: root,
      env: { ...process.env, PRETEND: what },
      encoding: 'utf8',
    });
    expect(stderr).toContain(
      `options.nice needs rcluster's native engine, which does not run here: ${reason}`,
    );
  });
});

describe.runIf(process.platform === 'linux')('what is no obstacle', () => {
  test.runIf(hasNobody)('a directory that may not be written to', () => {
    const app = makeDirectory('read_only');
    cpSync(fixture('setup_errors.cjs'), join(app, 'main.cjs'));
    const installed = join(app, 'node_modules', 'rcluster');
    const { files, dependencies = {} } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
    for (const file of [...files.filter((file) => !file.includes('*')), 'package.json', binary])
      cpSync(join(root, file), join(installed, file), { recursive: true });
    for (const name of Object.keys(dependencies)) {
      cpSync(join(root, 'node_modules', name), join(app, 'node_modules', name), { recursive: true });
    }
    execFileSync('chmod', ['-R', 'a=rX', app]);
    expect(runAsNobody([join(app, 'main.cjs')])).toEqual({ outcome: running, said: '' });
  });

  // By number, of the processor's own table.
  const calls = {
    x64: { pidfd_open: 434, pidfd_send_signal: 424, memfd_create: 319, close_range: 436, clone3: 435 },
  };
  calls.arm64 = { ...calls.x64, memfd_create: 279 };
  const ENOSYS = 38;
  const EPERM = 1;

  test.runIf(hasPython() && calls[process.arch])('a seccomp profile that forbids newer system calls', () => {
    const { clone3, ...others } = calls[process.arch];
    for (const [errno, numbers] of [
      [ENOSYS, [...Object.values(others), clone3]],
      // With clone3 forbidden in this way Node itself does not start.
      [EPERM, Object.values(others)],
    ]) {
      const program = [
        process.execPath,
        fileURLToPath(new URL('../scripts/package_programs/all.cjs', import.meta.url)),
      ];
      const { status, stderr } = spawnSync(
        'python3',
        [fixture('seccomp.py'), String(errno), numbers.join(), ...program],
        {
          encoding: 'utf8',
          timeout: 15_000,
        },
      );
      expect({ errno, status, stderr }).toEqual({ errno, status: 0, stderr: '' });
    }
  });
});

function makeDirectory(name) {
  const directory = join(scratch, name);
  mkdirSync(directory);
  return directory;
}

/** Runs Node without root's rights, in the checkout. */
function runNode(args, env = {}) {
  const options = { cwd: root, uid: NOBODY, gid: NOBODY, encoding: 'utf8' };
  return spawnSync(process.execPath, args, { ...options, env: { PATH: process.env.PATH, ...env } });
}

function runAsNobody(args, env) {
  const { stdout, stderr } = runNode(args, env);
  return { outcome: stdout && JSON.parse(stdout), said: warning(stderr) };
}

function canMount() {
  return isRoot && spawnSync('unshare', ['--mount', 'sh', '-c', 'mount -t tmpfs none /mnt']).status === 0;
}

function hasPython() {
  return spawnSync('python3', ['--version']).status === 0;
}
