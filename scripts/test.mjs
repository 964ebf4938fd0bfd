// `npm test`: every check there is, from a fresh clone. The last line is `N passed, N failed`: tests where a step
// counts them, otherwise the step itself.

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { prepare, say } from './lib/prepare.mjs';
import { run } from './lib/run.mjs';

const scratch = mkdtempSync(join(tmpdir(), 'rcluster-test-'));
const vitestReport = join(scratch, 'vitest.json');
const bin = (name) => join('node_modules', '.bin', name);

const steps = [
  { name: 'rustfmt', command: 'cargo', args: ['fmt', '--all', '--check'] },
  { name: 'prettier', command: bin('prettier'), args: ['--check', '--log-level', 'warn', '.'] },
  { name: 'oxlint', command: bin('oxlint'), args: [] },
  { name: 'types', command: bin('tsc'), args: [] },
  // The same with the types of the other Node lines.
  ...[22, 24, 26].map((line) => ({
    name: `types, Node ${line}`,
    command: bin('tsc'),
    args: ['--project', `__test__/types/tsconfig.node${line}.json`],
  })),
  {
    name: 'clippy',
    command: 'cargo',
    args: ['clippy', '--workspace', '--all-targets', '--', '-D', 'warnings'],
  },
  { name: 'cargo test', command: 'cargo', args: ['test'], capture: true, count: countCargo },
  {
    name: 'vitest',
    command: bin('vitest'),
    args: ['run', '--reporter=default', '--reporter=json', `--outputFile.json=${vitestReport}`],
    count: countVitest,
  },
];

/** How long a step may take before it is taken to hang. */
const LIMIT_SECONDS = 1200;

const startedAt = performance.now();
await prepare();
const rows = [{ name: 'install and build', seconds: secondsSince(startedAt), note: 'ok' }];
let passed = 0;
let failed = 0;

for (const step of steps) {
  say(`${step.name}: ${[step.command, ...step.args].join(' ')}`);
  const stepStartedAt = performance.now();
  const result = await run(step.command, step.args, { capture: step.capture, seconds: LIMIT_SECONDS });
  const tests = step.count?.(result.stdout) ?? { passed: 0, failed: 0 };
  const counted = tests.passed + tests.failed > 0;
  // A step that fails without a failed test to show for it (a crash, an unhandled error) is a failure itself.
  if (!result.ok && tests.failed === 0) tests.failed = 1;
  else if (result.ok && !counted) tests.passed = 1;
  passed += tests.passed;
  failed += tests.failed;
  const figures = counted ? `${tests.passed} passed, ${tests.failed} failed` : 'ok';
  rows.push({
    name: step.name,
    seconds: secondsSince(stepStartedAt),
    note: result.ok ? figures : `FAILED: ${result.why}${counted ? ` (${figures})` : ''}`,
  });
}
rmSync(scratch, { recursive: true, force: true });

rows.push({ name: 'total', seconds: secondsSince(startedAt), note: '' });
say('Summary');
for (const { name, seconds, note } of rows) {
  console.log(`${name.padEnd(18)} ${seconds.toFixed(1).padStart(6)} s  ${note}`);
}
console.log(`\n${passed} passed, ${failed} failed`);
process.exitCode = failed ? 1 : 0;

function secondsSince(start) {
  return (performance.now() - start) / 1000;
}

/** Sums the closing lines of the test binaries. */
function countCargo(stdout) {
  const tests = { passed: 0, failed: 0 };
  for (const [, ok, bad] of stdout.matchAll(/^test result: .*?(\d+) passed; (\d+) failed/gm)) {
    tests.passed += Number(ok);
    tests.failed += Number(bad);
  }
  return tests;
}

function countVitest() {
  try {
    const { numPassedTests, numFailedTests } = JSON.parse(readFileSync(vitestReport, 'utf8'));
    return { passed: numPassedTests, failed: numFailedTests };
  } catch {
    return { passed: 0, failed: 0 };
  }
}
