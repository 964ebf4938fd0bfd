// Small programs print the same and end the same on plain Node, with rcluster, and with rcluster in the primary only.

import { afterEach, expect, test } from 'vitest';

import { endScripts, fixture, runScript } from '../helpers/run_script.mjs';

const preloads = {
  both: ['--require', 'rcluster/register'],
  primary: ['--require', fixture('primary_only.cjs')],
};

afterEach(endScripts);

/** The end of a program, and what it printed, in whatever order its processes did. */
async function outcome(name, execArgv, args) {
  const { code, signal, stdout, stderr } = await runScript(fixture(`same/${name}`), {
    module: 'node',
    execArgv,
    args,
  });
  return { code, signal, stderr, lines: stdout.split('\n').sort() };
}

test.each([
  'ports.cjs',
  'handles.cjs',
  'crashing.cjs',
  'draining.cjs',
  'thread_in_worker.cjs',
  'esm.mjs',
  'inspect_ports.cjs',
  'odd_values.cjs',
  'orphans.cjs SIGTERM',
  'orphans.cjs SIGKILL',
])('%s', async (program) => {
  const [name, ...args] = program.split(' ');
  const [node, both, primary] = await Promise.all([
    outcome(name, [], args),
    outcome(name, preloads.both, args),
    outcome(name, preloads.primary, args),
  ]);
  expect(node).toMatchObject({ code: 0, stderr: '' });
  expect(node.lines.length).toBeGreaterThan(1);
  expect(both).toEqual(node);
  expect(primary).toEqual(node);
});
