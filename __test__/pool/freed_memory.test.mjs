// Where big buffers come and go, memory that was freed can be kept, and not given to the kernel in between.

import { execFileSync } from 'node:child_process';
import { createRequire } from 'node:module';

import { expect, test } from 'vitest';

import { tasks } from './both.mjs';

const require = createRequire(import.meta.url);

/** In a process whose pool has had so many tasks with big buffers: what the C library was told, and page faults after. */
function figures(count, env = {}) {
  const script = `
    const { engine } = require(${JSON.stringify(require.resolve('../../lib/native.js'))});
    const Pool = require(${JSON.stringify(require.resolve('../../pool.js'))});
    const keep = engine.poolKeepFreedMemory;
    let told = 0;
    engine.poolKeepFreedMemory = () => {
      told++;
      keep.call(engine);
    };
    function use() {
      for (let i = 0; i < 40; i++) Buffer.allocUnsafeSlow(1 << 20).fill(1);
      gc();
    }
    (async () => {
      const pool = new Pool({ filename: ${JSON.stringify(tasks)}, minThreads: 1, maxThreads: 1 });
      for (let i = 0; i < ${count}; i++) await pool.run(new Uint8Array(1 << 20));
      await pool.destroy();
      for (let i = 0; i < 3; i++) use();
      const before = process.resourceUsage().minorPageFault;
      for (let i = 0; i < 10; i++) use();
      console.log(JSON.stringify([told, process.resourceUsage().minorPageFault - before]));
    })();
  `;
  const options = { env: { ...process.env, ...env }, encoding: 'utf8' };
  return JSON.parse(execFileSync(process.execPath, ['--expose-gc', '-e', script], options));
}

test('on request, many big buffers have freed memory kept, few do not', () => {
  const env = { RCLUSTER_KEEP_FREED_MEMORY: '1' };
  const [toldOfFew, faultsAfterFew] = figures(4, env);
  let [told, faults] = figures(40, env);
  // V8 may collect at another time than it is asked to.
  for (let turn = 0; turn < 3 && faults >= faultsAfterFew / 2; turn++) [told, faults] = figures(40, env);
  expect([told, toldOfFew]).toEqual([1, 0]);
  expect(faults).toBeLessThan(faultsAfterFew / 2);
  expect(figures(40)[0]).toBe(0);
});
