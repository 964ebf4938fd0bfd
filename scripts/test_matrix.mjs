// `npm run test:matrix [-- --line N...] [-- FILTER...]`: the suite on every Node line, and what Bun and Deno make of the
// package. Prints a table. Binaries come from npm, into a cache folder outside the checkout (scripts/lib/nodes.mjs).
//
// Where RCLUSTER_NODE_TESTS_RUNNER names a program that runs Node's own tests, and RCLUSTER_NODE_TESTS_20 (or another line)
// the folder they are in, they run as well, on that line. The runner is started as
// `node RUNNER --tests FOLDER --node BINARY --preload GUARD --preload register.js`, GUARD from RCLUSTER_NODE_TESTS_GUARD, and
// its last line is to be `N passed, N failed, N skipped`.

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { LINES, binaryOf, nodeOf } from './lib/nodes.mjs';
import { root, run } from './lib/run.mjs';

const LIMIT_SECONDS = 1800;

const { values: options, positionals: filters } = parseArgs({
  allowPositionals: true,
  options: { line: { type: 'string', multiple: true } },
});
const lines = options.line?.map(Number) ?? LINES;
const scratch = mkdtempSync(join(tmpdir(), 'rcluster-matrix-'));
const rows = [];
let isGreen = true;

for (const line of lines) {
  const node = nodeOf(line);
  const { stdout: version } = await run(node, ['--version'], { capture: true });
  const suite = await runSuite(node, line);
  const own = await runNodeTests(node, line);
  rows.push([`Node ${version.trim().slice(1)}`, suite, own]);
}
if (!options.line) for (const host of ['bun', 'deno']) rows.push(await runHost(host));
rmSync(scratch, { recursive: true, force: true });

console.log(
  `\n${table([['', "rcluster's tests", "Node's own tests of child_process and cluster"], ...rows])}`,
);
process.exitCode = isGreen ? 0 : 1;

/** Runs vitest itself on that Node, and with it all that the tests start. */
async function runSuite(node, line) {
  const report = join(scratch, `${line}.json`);
  const vitest = join(root, 'node_modules', 'vitest', 'vitest.mjs');
  const reporters = ['--reporter=dot', '--reporter=json', `--outputFile.json=${report}`];
  const { ok } = await run(node, [vitest, 'run', ...reporters, ...filters], { seconds: LIMIT_SECONDS });
  if (!ok) isGreen = false;
  try {
    const { numPassedTests, numFailedTests, numPendingTests } = JSON.parse(readFileSync(report, 'utf8'));
    return counts(numPassedTests, numFailedTests, numPendingTests);
  } catch {
    return 'did not end';
  }
}

async function runNodeTests(node, line) {
  const { RCLUSTER_NODE_TESTS_RUNNER: runner, RCLUSTER_NODE_TESTS_GUARD: guard } = process.env;
  const tests = process.env[`RCLUSTER_NODE_TESTS_${line}`];
  if (!runner || !tests) return '–';
  const preloads = [guard, join(root, 'register.js')].filter(Boolean).flatMap((file) => ['--preload', file]);
  const { stdout } = await run(process.execPath, [runner, '--tests', tests, '--node', node, ...preloads], {
    capture: true,
    seconds: LIMIT_SECONDS,
  });
  const [, passed, failed, skipped] = /(\d+) passed, (\d+) failed, (\d+) skipped\s*$/.exec(stdout) ?? [];
  return passed === undefined ? 'did not end' : counts(passed, failed, skipped);
}

/** A host that has Node's modules: the package is to load there, and to say that its engine does not run. */
async function runHost(name) {
  const host = binaryOf(name);
  if (host === undefined) return [name, 'not fetched', '–'];
  const { stdout: version } = await run(host, ['--version'], { capture: true });
  const args = name === 'deno' ? ['run', '--allow-all'] : [];
  const program = join(root, 'scripts', 'package_programs', 'other_host.cjs');
  const { ok, stdout } = await run(host, [...args, program], { capture: true, seconds: 60 });
  if (!ok) isGreen = false;
  const [number] = /\d+\.\d+\.\d+/.exec(version) ?? ['?'];
  return [`${name[0].toUpperCase()}${name.slice(1)} ${number}`, ok ? stdout.trim() : 'FAILED', '–'];
}

function counts(passed, failed, skipped) {
  return `${passed} passed, ${failed} failed, ${skipped} skipped`;
}

function table(cells) {
  const widths = cells[0].map((_, column) => Math.max(...cells.map((row) => row[column].length)));
  const print = (row) => `| ${row.map((cell, column) => cell.padEnd(widths[column])).join(' | ')} |`;
  return [
    print(cells[0]),
    `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`,
    ...cells.slice(1).map(print),
  ].join('\n');
}
