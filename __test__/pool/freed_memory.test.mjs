// Where big buffers come and go, memory that was freed can be kept, and not given to the kernel in between.

import { execFileSync } from 'node:child_process';
import { createRequire } from 'node:module';

import { expect, test } from 'vitest';

import { tasks } from './both.mjs';

const require = createRequire(import.meta.url);

/** In a process whose pool has had so many tasks with big buffers: what the engine was told, page faults and MB after. */
function figures(count, { env = {}, idle = 0 } = {}) {
  const script = `
    const { engine } = require(${JSON.stringify(require.resolve('../../lib/native.js'))});
    const Pool = require(${JSON.stringify(require.resolve('../../pool.js'))});
    const keep = engine.poolKeepFreedMemory;
    const told = [];
    engine.poolKeepFreedMemory = (largest) => {
      told.push(largest);
      keep.call(engine, largest);
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
      const faults = process.resourceUsage().minorPageFault - before;
      const used = process.memoryUsage.rss();
      await new Promise((resolve) => setTimeout(resolve, ${idle}));
      const released = (used - process.memoryUsage.rss()) / 1e6;
      console.log(JSON.stringify({ told, faults, released }));
    })();
  `;
  const options = { env: { ...process.env, ...env }, encoding: 'utf8' };
  return JSON.parse(execFileSync(process.execPath, ['--expose-gc', '-e', script], options));
}

/** Figures again and again until they are as they should be: V8 may collect at another time than it is asked to. */
function figuresThat(isRight, ...args) {
  let found = figures(...args);
  for (let turn = 0; turn < 3 && !isRight(found); turn++) found = figures(...args);
  return found;
}

test('many big buffers have freed memory kept, few do not', () => {
  const few = figures(4);
  const many = figuresThat(({ faults }) => faults < few.faults / 2, 40);
  expect([many.told, few.told]).toEqual([[1 << 20], []]);
  expect(many.faults).toBeLessThan(few.faults / 2);
});

test('a while after the last it is given back', () => {
  const { told, released } = figuresThat((found) => found.released > 10, 40, { idle: 3000 });
  expect(told).toEqual([1 << 20, 0]);
  expect(released).toBeGreaterThan(10);
});

test('not where the environment says so', () => {
  expect(figures(40, { env: { RCLUSTER_KEEP_FREED_MEMORY: '0' } }).told).toEqual([]);
});
