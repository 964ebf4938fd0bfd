// The command `rcluster`, in directories of its own.

import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { killGroup } from '../../scripts/lib/group.mjs';
import { waitFor } from './wait.mjs';

export const BIN = fileURLToPath(new URL('../../bin/rcluster.js', import.meta.url));
const LIMIT = 20_000;

const NOBODY = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'];
/** What a command is started by to have no rights beyond a user's; undefined where root cannot step down. */
export const asUser = process.getuid() !== 0 ? [] : canStepDown() ? NOBODY : undefined;

function canStepDown() {
  const [program, ...args] = [...NOBODY, process.execPath, BIN, '--version'];
  // What is started so has to be able to start Node itself, which may be in root's own folder.
  const isOpen =
    spawnSync(process.execPath, ['--version'], { cwd: '/', uid: 65_534, gid: 65_534 }).status === 0;
  return isOpen && spawnSync(program, args, { cwd: '/' }).status === 0;
}

/** An app as anybody writes it: it knows nothing of clusters. */
export const APP = `
const http = require('node:http');
const server = http.createServer((request, response) => {
  if (request.url === '/die') process.exit(3);
  if (request.url === '/hang') for (;;);
  if (request.url === '/print') console.log('printed');
  if (request.url === '/args') return response.end(JSON.stringify(process.argv.slice(2)));
  response.end(String(process.pid));
});
server.listen(Number(process.env.PORT));
`;

const running = new Set();

/** A directory with these files in it. @param {Record<string, string>} files */
export function directoryWith(files) {
  const directory = mkdtempSync(join(tmpdir(), 'rcluster-app-'));
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(directory, name)), { recursive: true });
    writeFileSync(join(directory, name), text);
  }
  directories.add(directory);
  return directory;
}
const directories = new Set();

/** Ends what is left of the tests of a file. For afterEach. */
export async function endCommands() {
  for (const command of running) killGroup(command.child.pid);
  await Promise.allSettled([...running].map(({ finished }) => finished));
  for (const directory of directories) rmSync(directory, { recursive: true, force: true });
  directories.clear();
}

/** A port that nobody has now. */
export async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

/**
 * Starts the command.
 * @param {string[]} args
 * @param {{ cwd?: string, env?: NodeJS.ProcessEnv, node?: string, wrapper?: string[] }} [options]
 */
export function start(args, { cwd, env = {}, node = process.execPath, wrapper = [] } = {}) {
  const [program, ...rest] = [...wrapper, node, BIN, ...args];
  const { NODE_OPTIONS, NODE_CHANNEL_FD, NODE_UNIQUE_ID, NODE_ENV, ...own } = process.env;
  const child = spawn(program, rest, {
    cwd,
    env: { ...own, ...env },
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const command = { child, pid: child.pid, stdout: '', stderr: '', finished: undefined };
  child.stdout.setEncoding('utf8').on('data', (text) => (command.stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text) => (command.stderr += text));
  running.add(command);
  const timer = setTimeout(() => killGroup(child.pid), LIMIT);
  command.finished = new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      running.delete(command);
      killGroup(child.pid);
      resolve({ code, signal, stdout: command.stdout, stderr: command.stderr });
    });
  });
  return command;
}

/** Runs the command to its end. @param {string[]} args @param {Parameters<typeof start>[1]} [options] */
export function run(args, options) {
  return start(args, options).finished;
}

/**
 * An app that runs, and how to speak to it.
 * @param {string[]} args before the script's arguments; \`app.js\` of the directory is the script
 * @param {{ files?: Record<string, string>, script?: string, env?: NodeJS.ProcessEnv, node?: string,
 *   appArgs?: string[], wrapper?: string[], isReady?: boolean }} [options]
 */
export async function startApp(args, options = {}) {
  const {
    files = { 'app.js': APP },
    script = 'app.js',
    env,
    node,
    wrapper,
    appArgs = [],
    isReady = true,
  } = options;
  const cwd = directoryWith(files);
  const port = await freePort();
  const behind = appArgs.length > 0 ? ['--', ...appArgs] : [];
  const given = [...(script ? [script] : []), ...args, ...behind];
  const command = start(given, { cwd, env: { PORT: `${port}`, ...env }, node, wrapper });
  const app = {
    cwd,
    port,
    command,
    get: async (path = '/') =>
      (await fetch(`http://127.0.0.1:${port}${path}`, { headers: { connection: 'close' } })).text(),
    /** Runs a command that speaks to it. @param {...string} rest */
    steer: (...rest) => run(rest, { cwd, node }),
    /** What `status --json` prints. */
    async status() {
      const { stdout } = await run(['status', '--json'], { cwd, node });
      return JSON.parse(stdout);
    },
    /** @param {NodeJS.Signals} signal */
    kill: (signal) => process.kill(command.pid, signal),
  };
  if (isReady)
    await waitFor(() => isUp(app), { timeout: 10_000, interval: 50, what: () => `up: ${command.stderr}` });
  return app;
}

async function isUp(app) {
  if (app.command.child.exitCode !== null) throw new Error(`it has ended: ${app.command.stderr}`);
  const { stdout, code } = await app.steer('status', '--json');
  return code === 0 && JSON.parse(stdout).state === 'running';
}
