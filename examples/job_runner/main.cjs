'use strict';

const fs = require('node:fs');
const { once } = require('node:events');

const { spawn } = require('rcluster/child_process');

const jobs = JSON.parse(fs.readFileSync(process.argv[2] ?? `${__dirname}/jobs.json`, 'utf8'));

async function run({ name, command, memory = Infinity, cpuSeconds = 60, milliseconds = 10_000 }) {
  const child = spawn('sh', ['-c', command], {
    stdio: 'ignore',
    // In time, or not at all, with all it has started.
    timeout: milliseconds,
    killTree: true,
    killAfter: 1000,
    dieWithParent: true,
    // Set before its first instruction.
    rlimits: { as: memory, cpu: cpuSeconds, core: 0, nofile: 256 },
    closeFds: true,
    nice: 10,
    ionice: 'idle',
    umask: 0o077,
    oomScoreAdj: 500,
  });
  const [code, signal] = await once(child, 'close');
  const { userCPUTime, systemCPUTime } = child.resourceUsage();
  const seconds = (userCPUTime + systemCPUTime) / 1e6;
  const end = signal ?? (code === 0 ? 'ok' : `exit code ${code}`);
  console.log(`${name}: ${end}, ${seconds.toFixed(1)} s of processor time`);
}

async function main() {
  for (const job of jobs) await run(job);
}

main();
