// Puts a server under load from a process of its own: load.rs if that could be built, or else load_client.mjs.

import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

import { runNode, runProgram } from './processes.mjs';

const client = new URL('load_client.mjs', import.meta.url);
const root = fileURLToPath(new URL('../..', import.meta.url));

/** The program of load.rs; undefined where there is no Rust. @type {string | undefined | null} */
let program = null;

/**
 * @typedef {{ requests: number, perSecond: number, p50: number | null, p99: number | null, errors: number,
 *   errorKinds: Record<string, number>, workers: Record<string, number> }} LoadResult
 */

/**
 * `count`: ends after so many requests, and not by time.
 * @param {{ port: number, path?: string, connections: number, keepAlive: boolean, seconds: number,
 *   warmup?: number, count?: number }} options
 * @returns {Promise<LoadResult>}
 */
export async function load(options) {
  if (program === null) program = build();
  if (program === undefined) return JSON.parse(await runNode(client, [JSON.stringify(options)]));
  const { port, path = '/', connections, keepAlive, seconds, warmup = 0, count } = options;
  const args = [port, path, connections, keepAlive ? 1 : 0, seconds, warmup, ...(count ? [count] : [])];
  return JSON.parse(await runProgram(program, args.map(String)));
}

/** Builds load.rs, once a run. */
function build() {
  const args = ['build', '--release', '--example', 'load', '--message-format', 'json', '--quiet'];
  const { status, stdout } = spawnSync('cargo', args, {
    cwd: root,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  if (status !== 0) return undefined;
  const built = stdout.split('\n').map((line) => line && JSON.parse(line));
  return built.find((message) => message?.target?.name === 'load' && message.executable)?.executable;
}
