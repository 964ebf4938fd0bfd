// Puts a server under load from a process of its own.

import { runNode } from './processes.mjs';

const client = new URL('load_client.mjs', import.meta.url);

/**
 * @typedef {{ requests: number, perSecond: number, p50: number | null, p99: number | null, errors: number,
 *   errorKinds: Record<string, number>, workers: Record<string, number> }} LoadResult
 */

/**
 * @param {{ port: number, path?: string, connections: number, keepAlive: boolean, seconds: number,
 *   warmup?: number }} options
 * @returns {Promise<LoadResult>}
 */
export async function load(options) {
  return JSON.parse(await runNode(client, [JSON.stringify(options)]));
}
