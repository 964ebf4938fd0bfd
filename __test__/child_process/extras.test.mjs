// Each extra as the kernel sees it, not as we say it.

import { once } from 'node:events';
import { mkdirSync, readFileSync, rmdirSync, statSync } from 'node:fs';
import os from 'node:os';

import { expect, test } from 'vitest';

import { isAlive } from '../helpers/process_state.mjs';
import { childProcess } from '../helpers/rcluster.mjs';
import { waitFor } from '../helpers/wait.mjs';

const { spawn, spawnSync, exec } = childProcess;
const isRoot = process.getuid() === 0;

/** Runs a command with options and gives what it prints. */
async function output(file, args, options) {
  const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'inherit'], ...options });
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (chunk) => (text += chunk));
  await once(child, 'close');
  return text;
}

/** One line of a file in the child's own /proc/self. */
async function procLine(file, pattern, options) {
  const text = await output('cat', [`/proc/self/${file}`], options);
  return text.split('\n').find((line) => pattern.test(line));
}

test('rlimits', async () => {
  const rlimits = { nofile: { soft: 50, hard: 60 }, core: 0, cpu: Infinity };
  const limits = await output('cat', ['/proc/self/limits'], { rlimits });
  expect(limits).toMatch(/Max open files\s+50\s+60/);
  expect(limits).toMatch(/Max core file size\s+0\s+0/);
  expect(limits).toMatch(/Max cpu time\s+unlimited\s+unlimited/);
});

test('nice', async () => {
  const child = spawn('sleep', ['60'], { stdio: 'ignore', nice: 7 });
  await once(child, 'spawn');
  expect(os.getPriority(child.pid)).toBe(7);
  child.kill();
  await once(child, 'exit');
});

test('ionice', async () => {
  expect(await output('ionice', [], { ionice: { class: 'best-effort', level: 6 } })).toBe(
    'best-effort: prio 6\n',
  );
  expect(await output('ionice', [], { ionice: 'idle' })).toBe('idle\n');
});

test('affinity', async () => {
  expect(await procLine('status', /^Cpus_allowed_list/, { affinity: 0 })).toBe('Cpus_allowed_list:\t0');
  expect(await procLine('status', /^Cpus_allowed_list/, { affinity: [0, 1] })).toBe(
    'Cpus_allowed_list:\t0-1',
  );
});

test('oomScoreAdj', async () => {
  expect(await output('cat', ['/proc/self/oom_score_adj'], { oomScoreAdj: 321 })).toBe('321\n');
});

test('umask, as a number or as octal text', async () => {
  expect(await procLine('status', /^Umask/, { umask: 0o027 })).toBe('Umask:\t0027');
  expect(await procLine('status', /^Umask/, { umask: '077' })).toBe('Umask:\t0077');
});

test.runIf(isRoot)('groups, with and without a change of user', async () => {
  expect(await procLine('status', /^Groups/, { groups: [7, 8] })).toMatch(/^Groups:\t7 8\s*$/);
  expect(await procLine('status', /^Groups/, { groups: [7], uid: 65534, gid: 65534 })).toMatch(
    /^Groups:\t7\s*$/,
  );
});

test('closeFds closes what is not in stdio, and nothing else', async () => {
  const child = spawn('sh', ['-c', 'sleep 0.2; ls /proc/self/fd'], {
    stdio: ['ignore', 'pipe', 'inherit', 'pipe'],
    closeFds: true,
  });
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (chunk) => (text += chunk));
  await once(child, 'close');
  // 4 is the directory that ls reads.
  expect(text.trim().split('\n')).toEqual(['0', '1', '2', '3', '4']);
});

const cgroups = '/sys/fs/cgroup';
const canMakeCgroups =
  isRoot && statSync(`${cgroups}/cgroup.procs`, { throwIfNoEntry: false }) !== undefined && makesCgroup();

function makesCgroup() {
  try {
    mkdirSync(`${cgroups}/rcluster-probe`);
    rmdirSync(`${cgroups}/rcluster-probe`);
    return true;
  } catch {
    return false;
  }
}

// Needs a cgroup v2 tree that this user may write to.
test.runIf(canMakeCgroups)('cgroup', async () => {
  const name = `rcluster-test-${process.pid}`;
  mkdirSync(`${cgroups}/${name}`);
  try {
    expect(await output('cat', ['/proc/self/cgroup'], { cgroup: name })).toMatch(
      new RegExp(`^0::.*/${name}$`, 'm'),
    );
  } finally {
    await waitFor(() => readFileSync(`${cgroups}/${name}/cgroup.procs`, 'utf8') === '');
    rmdirSync(`${cgroups}/${name}`);
  }
});

test('dieWithParent ends the child with a parent that is killed', async () => {
  const script = `
    const { spawn } = require(${JSON.stringify(new URL('../../lib/child_process/index.js', import.meta.url).pathname)});
    const child = spawn('sleep', ['60'], { stdio: 'ignore', dieWithParent: true });
    console.log(child.pid);
    setInterval(() => {}, 1000);`;
  const parent = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [chunk] = await once(parent.stdout, 'data');
  const pid = Number(chunk);
  expect(isAlive(pid)).toBe(true);
  parent.kill('SIGKILL');
  await once(parent, 'exit');
  await waitFor(() => !isAlive(pid));
});

test('dieWithParent means the process, not the worker thread that spawned', async () => {
  const script = `
    const { Worker, isMainThread, parentPort } = require('node:worker_threads');
    if (isMainThread) {
      new Worker(__filename, { eval: false }).on('message', (pid) => { this.pid = pid; }).on('exit', () =>
        setTimeout(() => { process.stdout.write(String(this.pid)); setInterval(() => {}, 1000); }, 200));
    } else {
      const { spawn } = require(${JSON.stringify(new URL('../../lib/child_process/index.js', import.meta.url).pathname)});
      const child = spawn('sleep', ['60'], { stdio: 'ignore', dieWithParent: true });
      child.unref();
      parentPort.postMessage(child.pid);
    }`;
  const { mkdtempSync, writeFileSync, rmSync } = await import('node:fs');
  const dir = mkdtempSync(`${os.tmpdir()}/rcluster-`);
  writeFileSync(`${dir}/main.cjs`, script);
  const parent = spawn(process.execPath, [`${dir}/main.cjs`], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [chunk] = await once(parent.stdout, 'data');
  const pid = Number(chunk);
  expect(isAlive(pid)).toBe(true);
  parent.kill('SIGKILL');
  await waitFor(() => !isAlive(pid));
  rmSync(dir, { recursive: true });
});

test('killAfter follows a signal that is ignored with SIGKILL', async () => {
  const child = spawn('sh', ['-c', 'trap "" TERM; echo ready; while :; do sleep 0.05; done'], {
    stdio: ['ignore', 'pipe', 'inherit'],
    killAfter: 100,
  });
  await once(child.stdout, 'data');
  expect(child.kill()).toBe(true);
  const [code, signal] = await once(child, 'exit');
  expect([code, signal]).toEqual([null, 'SIGKILL']);
});

test('killAfter leaves no timer behind for a child that obeys', async () => {
  const timers = () => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
  const before = timers();
  const child = spawn('sleep', ['60'], { stdio: 'ignore', killAfter: 60_000 });
  await once(child, 'spawn');
  child.kill();
  expect((await once(child, 'exit'))[1]).toBe('SIGTERM');
  expect(timers()).toBe(before);
});

test('a grandchild that holds stdout delays close, as in Node; closeGrace settles', async () => {
  const command = 'sleep 1.5 & echo $!';
  const started = performance.now();
  const [held, cut] = await Promise.all(
    [undefined, 100].map(
      (closeGrace) =>
        new Promise((resolve) => {
          exec(command, { closeGrace }, (error, stdout) =>
            resolve({ error, pid: Number(stdout), ms: performance.now() - started }),
          );
        }),
    ),
  );
  expect(held.error).toBe(null);
  expect(held.ms).toBeGreaterThan(1400);
  expect(cut.error).toBe(null);
  expect(cut.pid).toBeGreaterThan(0);
  expect(cut.ms).toBeLessThan(1000);
});

test('resourceUsage of a child that runs and of one that has ended', async () => {
  const script =
    'const b = Buffer.alloc(300 << 20, 1); const t = Date.now(); while (Date.now() - t < 200); console.log(b.length); setTimeout(() => {}, 300)';
  const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(child.stdout, 'data');
  const live = child.resourceUsage();
  expect(live.maxRSS).toBeGreaterThan(300 * 1024);
  expect(live.userCPUTime + live.systemCPUTime).toBeGreaterThan(150_000);
  await once(child, 'close');
  const ended = child.resourceUsage();
  expect(ended.maxRSS).toBeGreaterThan(300 * 1024);
  expect(ended.userCPUTime).toBeGreaterThanOrEqual(live.userCPUTime - 10_000);
});

test("resourceUsage never passes this process's own peak off as a small child's", async () => {
  const ballast = Buffer.alloc(200 << 20, 1);
  const child = spawn('true', { stdio: 'ignore' });
  await once(child, 'close');
  const { maxRSS, userCPUTime } = child.resourceUsage();
  expect(userCPUTime).toBeTypeOf('number');
  expect(maxRSS === undefined || maxRSS < 50 * 1024).toBe(true);
  expect(ballast.length).toBe(200 << 20);
});

test.each([
  ['nice', { nice: 20 }, 'ERR_OUT_OF_RANGE'],
  ['nice', { nice: 'low' }, 'ERR_INVALID_ARG_TYPE'],
  ['rlimits', { rlimits: { files: 1 } }, 'ERR_INVALID_ARG_VALUE'],
  ['rlimits', { rlimits: { nofile: -1 } }, 'ERR_OUT_OF_RANGE'],
  ['ionice', { ionice: 'sometimes' }, 'ERR_INVALID_ARG_VALUE'],
  ['ionice', { ionice: { class: 'idle', level: 8 } }, 'ERR_OUT_OF_RANGE'],
  ['affinity', { affinity: [] }, 'ERR_INVALID_ARG_VALUE'],
  ['affinity', { affinity: [-1] }, 'ERR_OUT_OF_RANGE'],
  ['oomScoreAdj', { oomScoreAdj: 1001 }, 'ERR_OUT_OF_RANGE'],
  ['umask', { umask: '8' }, 'ERR_INVALID_ARG_TYPE'],
  ['groups', { groups: 'wheel' }, 'ERR_INVALID_ARG_TYPE'],
  ['cgroup', { cgroup: 1 }, 'ERR_INVALID_ARG_TYPE'],
  ['closeFds', { closeFds: 1 }, 'ERR_INVALID_ARG_TYPE'],
  ['dieWithParent', { dieWithParent: 'yes' }, 'ERR_INVALID_ARG_TYPE'],
  ['killTree', { killTree: 1 }, 'ERR_INVALID_ARG_TYPE'],
  ['killAfter', { killAfter: -1 }, 'ERR_OUT_OF_RANGE'],
  ['closeGrace', { closeGrace: '1' }, 'ERR_INVALID_ARG_TYPE'],
])('a wrong %s is refused before anything runs: %o', (name, options, code) => {
  let error;
  try {
    spawn('true', options);
  } catch (thrown) {
    error = thrown;
  }
  expect(error).toMatchObject({ code });
  expect(error.message).toContain(name);
});

test('what the kernel forbids is an error that names the option', async () => {
  const child = spawn('true', { stdio: 'ignore', cgroup: 'no/such/group' });
  const [error] = await once(child, 'error');
  expect(error).toMatchObject({ code: 'ENOENT', syscall: 'open', path: 'true' });
  expect(error.message).toContain('options.cgroup');
  expect(child.pid).toBe(undefined);

  const offline = spawn('true', { stdio: 'ignore', affinity: [8000] });
  const [refused] = await once(offline, 'error');
  expect(refused).toMatchObject({ code: 'EINVAL', syscall: 'sched_setaffinity' });
  expect(refused.message).toContain('options.affinity');
});

test('spawnSync takes the extras that are set in the child', () => {
  const { stdout } = spawnSync('cat', ['/proc/self/limits'], {
    encoding: 'utf8',
    rlimits: { nofile: 77 },
    nice: 3,
  });
  expect(stdout).toMatch(/Max open files\s+77\s+77/);
});
