// Puts a server under load from a process of its own: ../load, or load_client.mjs where there is no Rust.

import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

import { runNode, runProgram } from './processes.mjs';

const client = new URL('load_client.mjs', import.meta.url);
const root = fileURLToPath(new URL('../..', import.meta.url));

/** The program of ../load; undefined where it cannot be built. @type {string | undefined | null} */
let program = null;

/**
 * @typedef {{ requests: number, perSecond: number, p50: number | null, p99: number | null, errors: number,
 *   errorKinds: Record<string, number>, workers: Record<string, number> }} LoadResult
 */

/**
 * `count`: ends after so many requests, and not by time. `isStorm`: connects to all at once, where ../load waits for
 * each. `rate`: so many requests a second at random, each by a connection of its own.
 * @param {{ port: number, path?: string, connections: number, keepAlive: boolean, seconds: number,
 *   warmup?: number, count?: number, rate?: number, isStorm?: boolean }} options
 * @returns {Promise<LoadResult>}
 */
export async function load(options) {
  if (program === null) program = build();
  if (program === undefined && options.rate)
    throw new Error('a load at a rate needs ../load, which needs Rust');
  if (program === undefined || options.isStorm)
    return JSON.parse(await runNode(client, [JSON.stringify(options)]));
  const { port, path = '/', connections, keepAlive, seconds, warmup = 0, count = 0, rate } = options;
  const args = [port, path, connections, keepAlive ? 1 : 0, seconds, warmup, count, ...(rate ? [rate] : [])];
  return JSON.parse(await runProgram(program, args.map(String)));
}

/** Builds it, once a run. */
function build() {
  const args = ['build', '--release', '--package', 'rcluster-load', '--message-format', 'json', '--quiet'];
  const { error, status, stdout } = spawnSync('cargo', args, {
    cwd: root,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  if (status !== 0) {
    const why = error?.message ?? `cargo ended with code ${status}`;
    console.warn(`load/main.rs could not be built (${why}): the load comes from lib/load_client.mjs,`);
    console.warn('which takes processor time from the servers. Do not compare with its figures.');
    return undefined;
  }
  const built = stdout.split('\n').map((line) => line && JSON.parse(line));
  return built.find((message) => message?.target?.name === 'load' && message.executable)?.executable;
}
