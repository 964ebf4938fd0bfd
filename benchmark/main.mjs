// Chooses benchmarks by name, runs them one after the other and prints a table for each case.

import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import { parseArgs } from 'node:util';

import { format } from './lib/stats.mjs';

const here = new URL('.', import.meta.url);
const available = readdirSync(here)
  .filter((file) => file.endsWith('.mjs') && file !== 'main.mjs')
  .map((file) => file.slice(0, -'.mjs'.length));

/**
 * @param {string[]} args names of benchmarks, `--smoke` for a short run, `--json FILE` to keep the figures
 */
export async function main(args) {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: { smoke: { type: 'boolean', default: false }, json: { type: 'string' } },
  });
  const names = chosen(positionals);
  const machine = describeMachine();
  console.log(
    Object.entries(machine)
      .map(([key, value]) => `${key} ${value}`)
      .join(', '),
  );

  const results = [];
  for (const name of names) {
    const { question, cases } = await import(new URL(`${name}.mjs`, here).href);
    console.log(`\n${name}: ${question}`);
    for await (const { title, rows } of cases({ smoke: values.smoke })) {
      console.log(`\n${table(title, rows)}`);
      results.push({ benchmark: name, case: title, rows });
    }
  }
  if (values.json) {
    const content = { ...machine, date: new Date().toISOString(), smoke: values.smoke, results };
    writeFileSync(values.json, `${JSON.stringify(content, null, 2)}\n`);
  }
}

/** The benchmarks asked for; a name stands for all that begin with it. */
function chosen(patterns) {
  if (patterns.length === 0) return available;
  return patterns.flatMap((pattern) => {
    const names = available.includes(pattern)
      ? [pattern]
      : available.filter((name) => name.startsWith(pattern));
    if (names.length > 0) return names;
    throw new Error(`no benchmark ${pattern}; there are ${available.join(', ')}`);
  });
}

function describeMachine() {
  const { version } = JSON.parse(readFileSync(new URL('../package.json', here), 'utf8'));
  return {
    rcluster: version,
    commit: git('rev-parse', '--short', 'HEAD') + (git('status', '--porcelain', '-uno') ? '+changes' : ''),
    node: process.version,
    kernel: os.release(),
    cpu: `${os.availableParallelism()} x ${os.cpus()[0]?.model.trim()}`,
  };
}

function git(...args) {
  try {
    return execFileSync('git', args, {
      cwd: here,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim();
  } catch {
    return 'unknown';
  }
}

function table(title, rows) {
  const sides = Object.keys(rows[0].medians);
  const lines = [[title, ...sides, 'ratio']];
  for (const { metric, unit, medians, ratio } of rows) {
    const cells = sides.map((side) => format(medians[side]));
    lines.push([`  ${metric}, ${unit}`, ...cells, ratio ? `${ratio.toFixed(2)}x` : '']);
  }
  const widths = lines[0].map((_, i) => Math.max(...lines.map((line) => line[i].length)));
  return lines
    .map((line) =>
      line.map((cell, i) => (i ? cell.padStart(widths[i] + 3) : cell.padEnd(widths[i]))).join(''),
    )
    .join('\n');
}
