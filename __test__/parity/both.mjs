// Node's own module and ours, for tests that run one body on each: Node proves the test.

import * as node from 'node:child_process';
import { createRequire } from 'node:module';

/** @type {typeof import('node:child_process')} */
export const ours = createRequire(import.meta.url)('../../lib/child_process/index.js');

/** For `describe.each`. @type {[string, typeof import('node:child_process')][]} */
export const both = [
  ['node', node.default],
  ['rcluster', ours],
];

export const nodeChildProcess = node.default;

/** Whether children inherit the process's own environment, whatever stands in place of process.env: in late Node 26. */
export const inheritsOwnEnvironment = typeof process.binding('process_wrap').getEnvPairs === 'function';

export const nodeMajor = Number(process.versions.node.split('.')[0]);

/** What a program can tell of an error, without its stack. */
export function shapeOf(error) {
  if (!(error instanceof Error)) return error;
  const { name, message } = error;
  return {
    class: Object.getPrototypeOf(error).constructor.name,
    text: String(error),
    name,
    message,
    properties: Object.fromEntries(
      Object.keys(error).map((key) => [key, error[key] === error ? 'itself' : error[key]]),
    ),
  };
}

/** The shape of what `run` throws, or what it returns. */
export function outcomeOf(run) {
  try {
    return { returned: run() };
  } catch (error) {
    return { thrown: shapeOf(error) };
  }
}
