// Runs a program of fixtures/ on one side of a pair, in a fresh process.

import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

import { runNode, runProgram } from './processes.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** The child_process of each side, as the fixtures require it. */
const CHILD_PROCESS = {
  node: 'node:child_process',
  bun: 'node:child_process',
  rcluster: 'rcluster/child_process',
};

/** Bun, where somebody says where it is. */
const bun = process.env.RCLUSTER_BENCH_BUN;

/**
 * Runs a fixture with the module of one side and returns the figures it prints as JSON.
 * @param {string} name file name in fixtures/
 * @param {keyof typeof CHILD_PROCESS} side
 * @param {object} options for the fixture
 */
async function runFixture(name, side, options) {
  const file = new URL(`../fixtures/${name}`, import.meta.url);
  const env = { BENCH_MODULE: CHILD_PROCESS[side] };
  return JSON.parse(await runNode(file, [JSON.stringify(options)], env, side === 'bun' ? bun : undefined));
}

/** The sides of a fixture, for `alternate`. */
export function fixturePair(name, options) {
  return {
    node: () => runFixture(name, 'node', options),
    ...(bun && { bun: () => runFixture(name, 'bun', options) }),
    rcluster: () => runFixture(name, 'rcluster', options),
  };
}

/**
 * The limit as one more side: a bare loop of posix_spawn and wait.
 * @param {number} concurrency
 * @param {number} seconds
 */
export function spawnLimit(concurrency, seconds) {
  const program = buildLimit('spawn_limit');
  return {
    posix_spawn: async () => JSON.parse(await runProgram(program, [concurrency, seconds].map(String))),
  };
}

/**
 * The limits of messages as two more sides: a socket pair and the ring, without Node.
 * @param {number} seconds
 */
export function ipcLimits(seconds) {
  const program = buildLimit('ipc_limit');
  const run = async (kind) => JSON.parse(await runProgram(program, [kind, String(seconds)]));
  return { 'bare socket': () => run('socket'), 'bare ring': () => run('ring') };
}

/**
 * The limit of a pool as one more side: two threads that get and give bare bytes.
 * @param {number} bytes of a task
 * @param {number} inFlight
 * @param {number} seconds
 */
export function poolLimit(bytes, inFlight, seconds) {
  const program = buildLimit('pool_limit');
  const args = [bytes, inFlight, seconds].map(String);
  return { crossbeam: async () => JSON.parse(await runProgram(program, args)) };
}

/** Built on first use; cargo does nothing where it is up to date. @param {string} name */
function buildLimit(name) {
  execFileSync('cargo', ['build', '--quiet', '--release', '--example', name], { cwd: root });
  return `${process.env.CARGO_TARGET_DIR ?? `${root}/target`}/release/examples/${name}`;
}
