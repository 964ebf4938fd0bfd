'use strict';

const { monitorEventLoopDelay } = require('node:perf_hooks');
const { once } = require('node:events');
const os = require('node:os');
const { parseArgs } = require('node:util');

const { values, positionals } = parseArgs({ allowPositionals: true, options: { node: { type: 'boolean' } } });
const { spawn } = require(values.node ? 'node:child_process' : 'rcluster/child_process');

const count = Number(positionals[0] ?? 200);
/** What a build tool has in memory: sources, graphs, caches. It makes each of Node's spawns dearer. */
const cache = Array.from({ length: 64 }, () => Buffer.alloc(2 ** 20, 1));

/** Compiles one file, so to say. Nothing it starts outlives the build, however that ends. */
async function compile(file) {
  const child = spawn('sh', ['-c', `echo "${file}" | cksum > /dev/null`], {
    stdio: 'ignore',
    ...(values.node ? {} : { dieWithParent: true, nice: 5 }),
  });
  const [code] = await once(child, 'close');
  if (code !== 0) throw new Error(`${file} ended with ${code}`);
}

async function main() {
  const files = Array.from({ length: count }, (_, at) => `file${at}.c`);
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  const startedAt = performance.now();
  await Promise.all(
    Array.from({ length: os.availableParallelism() }, async () => {
      for (let file = files.pop(); file; file = files.pop()) await compile(file);
    }),
  );
  const seconds = (performance.now() - startedAt) / 1000;
  const held = delay.percentile(99) / 1e6;
  console.log(`${count} programs in ${seconds.toFixed(2)} s, event loop held up ${held.toFixed(1)} ms (p99)`);
  return cache.length;
}

main();
